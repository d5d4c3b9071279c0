# model: Net
# expect: parameters=1612 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: One batch norm on the image itself is a live batch norm.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.drop = nn.Dropout(0.1)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = F.relu(self.c1(self.norm(x)))
        return self.c2(self.drop(x)).mean((2, 3))
