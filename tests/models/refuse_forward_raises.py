# expect: ungradable forward
# note: forward names a layer that does not exist.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv2(self.conv1(x)).mean((2, 3))
