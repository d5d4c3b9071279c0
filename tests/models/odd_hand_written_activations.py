# model: Net
# expect: parameters=3818 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Mish, hard swish and a squared ReLU by hand.
import torch
import torch.nn as nn
import torch.nn.functional as F


def mish(x):
    return x * torch.tanh(F.softplus(x))


def hard_swish(x):
    return x * (x + 3).clamp(0, 6) / 6


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8)
        self.c2, self.b2 = nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16)
        self.c3, self.b3 = nn.Conv2d(16, 16, 3), nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = mish(self.b1(self.c1(x)))
        x = hard_swish(self.b2(self.c2(x)))
        x = self.drop(torch.relu(self.b3(self.c3(x))) ** 2)
        return self.head(x).mean((2, 3))
