# model: Net
# expect: parameters=1642 pass; batch-norm fail@frozen; dropout pass; global-average-pool pass; linear pass; output pass
# note: forward switches the batch norm to eval mode before each use.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        self.bn.eval()
        x = self.c1(x)
        x = self.bn(x)  # <- frozen
        return self.c2(self.drop(F.relu(x))).mean((2, 3))
