# model: Net
# expect: parameters=1466 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A subclass of BatchNorm2d with a fused activation.
import torch
import torch.nn as nn
import torch.nn.functional as F


class BNReLU(nn.BatchNorm2d):
    """Batch norm and ReLU in one."""

    def forward(self, x):
        return F.relu(super().forward(x))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(1, 8, 3, stride=2), BNReLU(8)
        self.c2, self.n2 = nn.Conv2d(8, 16, 3, stride=2), BNReLU(16)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.n2(self.c2(self.n1(self.c1(x))))
        return self.head(self.drop(x)).mean((2, 3))
