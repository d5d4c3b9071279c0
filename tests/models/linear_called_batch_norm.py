# model: Net
# expect: parameters=1866 pass; batch-norm fail; dropout pass; global-average-pool pass; linear fail@linear; output pass
# note: A class called BatchNorm2d whose forward is linear: it is no batch norm and it is a linear layer.
import torch
import torch.nn as nn
import torch.nn.functional as F


class BatchNorm2d(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(channels))

    def forward(self, x):
        return F.linear(x.permute(0, 2, 3, 1), self.weight).permute(0, 3, 1, 2)  # <- linear


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.c1(x))))
        return self.c2(x).mean((2, 3))
