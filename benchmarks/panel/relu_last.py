"""ReLU on the last layer: scores can't fall below zero, and a class whose map is all zero gets no gradient."""

import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(1, 10, 3), nn.ReLU(), nn.BatchNorm2d(10))
        self.conv2 = nn.Sequential(nn.Conv2d(10, 16, 3), nn.ReLU(), nn.BatchNorm2d(16), nn.Dropout(0.05))
        self.conv3 = nn.Sequential(nn.Conv2d(16, 20, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(20), nn.Dropout(0.05))
        self.conv4 = nn.Sequential(nn.Conv2d(20, 20, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(20))
        self.conv5 = nn.Sequential(nn.Conv2d(20, 10, 1), nn.ReLU())
        self.pool = nn.MaxPool2d(2, 2)
        self.gap = nn.AvgPool2d(5)

    def forward(self, x):
        x = self.pool(self.conv1(x))
        x = self.pool(self.conv2(x))
        x = self.conv5(self.conv4(self.conv3(x)))
        x = self.gap(x).view(-1, 10)
        return F.log_softmax(x, dim=-1)
