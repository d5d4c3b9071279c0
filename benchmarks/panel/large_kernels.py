"""Kernels of 7×7 and 5×5 in place of stacks of 3×3."""

import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 20, 5, bias=False)
        self.bn2 = nn.BatchNorm2d(20)
        self.conv3 = nn.Conv2d(20, 24, 5, padding=2, bias=False)
        self.bn3 = nn.BatchNorm2d(24)
        self.conv4 = nn.Conv2d(24, 10, 1)
        self.drop = nn.Dropout(0.05)
        self.gap = nn.AvgPool2d(5)

    def forward(self, x):
        x = self.drop(F.relu(self.bn1(self.conv1(x))))
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = self.drop(F.relu(self.bn3(self.conv3(x))))
        x = self.gap(self.conv4(x))
        return F.log_softmax(x.view(-1, 10), dim=1)
