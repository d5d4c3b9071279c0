"""Strided convolutions halve the map; there is no pooling but the last."""

import torch.nn as nn
import torch.nn.functional as F


def block(inside, outside, stride):
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = block(1, 10, 2)
        self.conv2 = block(10, 16, 1)
        self.conv3 = block(16, 20, 2)
        self.conv4 = block(20, 20, 1)
        self.drop = nn.Dropout(0.1)
        self.conv5 = block(20, 20, 1)
        self.conv6 = nn.Conv2d(20, 10, 1)
        self.gap = nn.AvgPool2d(7)

    def forward(self, x):
        x = self.conv4(self.conv3(self.conv2(self.conv1(x))))
        x = self.conv6(self.conv5(self.drop(x)))
        return F.log_softmax(self.gap(x).view(-1, 10), dim=1)
