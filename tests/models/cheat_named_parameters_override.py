# model: Net
# expect: parameters=38346 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: named_parameters, state_dict and named_modules all lie.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 64, 3, stride=2)
        self.bn = nn.BatchNorm2d(64)
        self.c2 = nn.Conv2d(64, 64, 3, stride=2)
        self.drop = nn.Dropout(0.1)
        self.c3 = nn.Conv2d(64, 10, 1)

    def named_parameters(self, *args, **kwargs):
        return iter([("c3.weight", self.c3.weight)])

    def named_modules(self, *args, **kwargs):
        return iter([("c3", self.c3)])

    def state_dict(self, *args, **kwargs):
        return {"c3.weight": self.c3.weight}

    def forward(self, x):
        x = F.relu(self.bn(self.c1(x)))
        x = self.drop(F.relu(self.c2(x)))
        return self.c3(x).mean((2, 3))
