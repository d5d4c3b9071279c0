# model: Net
# expect: parameters=1642 pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: Gaussian noise is no dropout.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Dropout(nn.Module):
    def __init__(self, p=0.1):
        super().__init__()
        self.p = p

    def forward(self, x):
        return x + self.p * torch.randn_like(x) if self.training else x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = Dropout(0.1)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.c1(x))))
        return self.c2(x).mean((2, 3))
