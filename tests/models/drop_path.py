# model: Net
# expect: parameters=2682 pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: DropPath drops whole residual branches by hand: it does not satisfy the rule.
import torch
import torch.nn as nn
import torch.nn.functional as F


class DropPath(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x):
        if not self.training or self.p == 0.0:
            return x
        keep = 1 - self.p
        mask = x.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(keep)
        return x * mask / keep


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.c2 = nn.Conv2d(16, 16, 3, padding=1)
        self.bn = nn.BatchNorm2d(16)
        self.drop_path = DropPath(0.1)
        self.c3 = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.c1(x)
        x = x + self.drop_path(F.relu(self.bn(self.c2(x))))
        return self.c3(x).mean((2, 3))
