# expect: ungradable input-shape|forward
# note: The first convolution wants colour images.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 10, 3)
        self.bn = nn.BatchNorm2d(10)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        return self.drop(self.bn(self.conv(x))).mean((2, 3))
