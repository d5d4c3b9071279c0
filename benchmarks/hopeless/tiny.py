"""342 parameters: too few to tell digits apart."""

import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.conv2 = nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.drop = nn.Dropout(0.05)
        self.head = nn.Conv2d(6, 10, 1)

    def forward(self, x):
        x = F.max_pool2d(self.conv1(x), 2)
        x = self.drop(F.max_pool2d(self.conv2(x), 2))
        return F.log_softmax(self.head(x).mean((2, 3)), dim=1)
