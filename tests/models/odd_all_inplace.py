# model: Net
# expect: parameters=1658 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Everything works in place, results are not assigned.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.1, inplace=True)
        self.c2 = nn.Conv2d(16, 10, 3)
        self.gain = nn.Parameter(torch.ones(1, 16, 1, 1))

    def forward(self, x):
        x = self.bn(self.c1(x))
        self.relu(x)
        self.drop(x)
        x *= self.gain
        x += 0.1
        x.clamp_(min=0)
        x = self.c2(x).mean((2, 3))
        x.sub_(x.mean(1, keepdim=True))
        return x
