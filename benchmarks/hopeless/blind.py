"""It sees how bright each quarter of the image is, and nothing else."""

import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(1, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.conv2 = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.drop = nn.Dropout(0.05)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.drop(self.conv2(self.conv1(F.avg_pool2d(x, 14))))
        return F.log_softmax(self.head(x).mean((2, 3)), dim=1)
