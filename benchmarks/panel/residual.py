"""Residual blocks, as in ResNet, at constant width."""

import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return F.relu(x + out)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.block1 = Block(16)
        self.block2 = Block(16)
        self.block3 = Block(16)
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout2d(0.05)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.block1(self.pool(self.stem(x)))
        x = self.drop(self.block3(self.block2(x)))
        x = F.adaptive_avg_pool2d(self.head(x), 1)
        return F.log_softmax(x.squeeze(-1).squeeze(-1), dim=1)
