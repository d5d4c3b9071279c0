# model: Net
# expect: parameters=1642 pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: A class called Dropout that returns its input.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Dropout(nn.Dropout):
    def forward(self, input):
        return input


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = Dropout(0.3)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.c1(x))))
        return self.c2(x).mean((2, 3))
