# expect: ungradable forward
# note: The second layer's width does not fit the first's.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 16, 3)
        self.bn = nn.BatchNorm2d(16)
        self.b = nn.Conv2d(32, 10, 3)

    def forward(self, x):
        return self.b(self.bn(self.a(x))).mean((2, 3))
