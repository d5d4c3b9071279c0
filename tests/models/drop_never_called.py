# model: Net
# expect: parameters=1642 pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: A registered dropout that forward does not use.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.dropout = nn.Dropout(0.25)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = F.relu(self.bn(self.c1(x)))
        return self.c2(x).mean((2, 3))
