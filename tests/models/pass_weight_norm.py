# model: Net
# expect: parameters=3046 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: weight_norm: magnitude and direction are the learned numbers.
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.parametrizations import weight_norm


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = weight_norm(nn.Conv2d(1, 12, 3, stride=2))
        self.bn = nn.BatchNorm2d(12)
        self.c2 = weight_norm(nn.Conv2d(12, 24, 3, stride=2))
        self.drop = nn.Dropout(0.1)
        self.c3 = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = F.relu(self.bn(self.c1(x)))
        x = self.drop(F.relu(self.c2(x)))
        return self.c3(x).mean([2, 3])
