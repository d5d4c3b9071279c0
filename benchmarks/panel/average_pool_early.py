"""The image is averaged down to 14×14 before the first convolution, and pooled by averages from there on."""

import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.shrink = nn.AvgPool2d(2)
        self.conv1 = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.conv2 = nn.Sequential(nn.Conv2d(12, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.conv3 = nn.Sequential(nn.Conv2d(16, 20, 3, padding=1, bias=False), nn.BatchNorm2d(20), nn.ReLU())
        self.conv4 = nn.Sequential(nn.Conv2d(20, 20, 3, padding=1, bias=False), nn.BatchNorm2d(20), nn.ReLU())
        self.drop = nn.Dropout(0.05)
        self.conv5 = nn.Conv2d(20, 10, 1, bias=False)
        self.gap = nn.AvgPool2d(7)

    def forward(self, x):
        x = self.conv2(self.conv1(self.shrink(x)))
        x = self.conv4(self.drop(self.conv3(self.shrink(x))))
        x = self.gap(self.conv5(x))
        return F.log_softmax(x.view(-1, 10), dim=1)
