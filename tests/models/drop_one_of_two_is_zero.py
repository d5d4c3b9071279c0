# model: Net
# expect: parameters=1642 pass; batch-norm pass; dropout ok; global-average-pool pass; linear pass; output pass
# note: One dropout has p=0, another acts.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.d1, self.d2 = nn.Dropout(0.0), nn.Dropout(0.1)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = self.d1(F.relu(self.bn(self.c1(x))))
        return self.c2(self.d2(x)).mean((2, 3))
