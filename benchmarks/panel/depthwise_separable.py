"""Depthwise separable convolutions after the first layer, as in MobileNet."""

import torch.nn as nn
import torch.nn.functional as F


class Separable(nn.Module):
    def __init__(self, inside, outside):
        super().__init__()
        self.depthwise = nn.Conv2d(inside, inside, 3, padding=1, groups=inside, bias=False)
        self.norm1 = nn.BatchNorm2d(inside)
        self.pointwise = nn.Conv2d(inside, outside, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)

    def forward(self, x):
        x = F.relu(self.norm1(self.depthwise(x)))
        return F.relu(self.norm2(self.pointwise(x)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.layers = nn.Sequential(
            Separable(16, 32),
            nn.MaxPool2d(2),
            Separable(32, 48),
            Separable(48, 48),
            nn.Dropout(0.05),
            Separable(48, 64),
        )
        self.head = nn.Conv2d(64, 10, 1)

    def forward(self, x):
        x = self.head(self.layers(self.stem(x)))
        return F.log_softmax(x.mean(dim=(2, 3)), dim=1)
