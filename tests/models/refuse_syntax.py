# expect: ungradable syntax
# note: The file is not Python: a bracket is missing.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3

    def forward(self, x):
        return self.conv(x)
