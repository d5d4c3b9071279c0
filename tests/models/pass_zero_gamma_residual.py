# model: Net
# expect: parameters=7594 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Zero-gamma branches do nothing at the start, but they learn; batch norm and dropout act there alone.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.drop = nn.Dropout(0.1)
        nn.init.zeros_(self.bn.weight)

    def forward(self, x):
        return F.relu(x + self.bn(self.conv(self.drop(x))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 5, stride=2)
        self.blocks = nn.Sequential(Block(16), Block(16), Block(16))
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.blocks(F.relu(self.stem(x)))
        return self.head(x).mean((2, 3))
