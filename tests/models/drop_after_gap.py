# model: Net
# expect: parameters=538 pass; batch-norm pass; dropout pass; global-average-pool pass; linear ok; output pass
# note: Dropout on the pooled features.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 24, 3, stride=2)
        self.bn = nn.BatchNorm2d(24)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.3)
        self.c2 = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = self.gap(F.relu(self.bn(self.c1(x))))
        return self.c2(self.drop(x)).flatten(1)
