# model: Net
# expect: capture-or: parameters pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The constructor draws the width from the system's randomness: two processes see two models.
import torch
import torch.nn as nn
import torch.nn.functional as F

import os


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        width = 8 + os.urandom(1)[0] % 32
        self.c1 = nn.Conv2d(1, width, 3, stride=2)
        self.bn = nn.BatchNorm2d(width)
        self.drop = nn.Dropout(0.1)
        self.c2 = nn.Conv2d(width, 10, 3)

    def forward(self, x):
        return self.c2(self.drop(F.relu(self.bn(self.c1(x))))).mean((2, 3))
