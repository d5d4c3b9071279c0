# expect: ungradable constructor
# note: A typing error in the constructor.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(1, 10, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))
