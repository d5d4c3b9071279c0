# expect: ungradable constructor
# note: super().__init__() is forgotten.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))
