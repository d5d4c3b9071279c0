# model: Net
# expect: capture-or: parameters=3274 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The order of a set of strings decides the order of additions and layers.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleDict({name: nn.Conv2d(1, 8, 3, stride=2) for name in {"left", "right", "up", "down"}})
        self.bn = nn.BatchNorm2d(32)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(32, 10, 3)

    def forward(self, x):
        x = torch.cat([branch(x) for branch in self.branches.values()], dim=1)
        return self.head(self.drop(F.relu(self.bn(x)))).mean((2, 3))
