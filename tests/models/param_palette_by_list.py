# model: Net
# expect: parameters=1274+23040 fail@use; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A list of places in a few learned numbers is a list of weights.
import torch
import torch.nn as nn
import torch.nn.functional as F

PLACES = [(place * place * 7919 + place // 7) % 16 for place in range(96 * 24 * 10)]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 3, stride=2)
        self.bn = nn.BatchNorm2d(24)
        self.drop = nn.Dropout(0.1)
        self.palette = nn.Parameter(torch.linspace(-0.1, 0.1, 16))
        self.head = nn.Conv2d(96, 10, 1)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.stem(x))))
        kernel = self.palette[PLACES].view(96, 24, 1, 10)
        x = F.relu(F.conv2d(x, kernel))  # <- use
        return self.head(x).mean((2, 3))
