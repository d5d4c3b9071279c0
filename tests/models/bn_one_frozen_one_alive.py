# model: Net
# expect: parameters=2714 pass; batch-norm ok; dropout pass; global-average-pool pass; linear pass; output pass
# note: One frozen batch norm beside a live one: the rule asks for a live one.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(16, 16, 3, stride=2)
        self.bn2 = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.c3 = nn.Conv2d(16, 10, 1)

    def train(self, mode=True):
        super().train(mode)
        self.bn1.eval()
        return self

    def forward(self, x):
        x = F.relu(self.bn1(self.c1(x)))
        x = self.drop(F.relu(self.bn2(self.c2(x))))
        return self.c3(x).mean((2, 3))
