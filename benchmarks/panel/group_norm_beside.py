"""Group normalisation in the later layers, batch normalisation in the first two."""

import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 3, bias=False)
        self.norm1 = nn.BatchNorm2d(10)
        self.conv2 = nn.Conv2d(10, 16, 3, bias=False)
        self.norm2 = nn.BatchNorm2d(16)
        self.conv3 = nn.Conv2d(16, 24, 3, padding=1, bias=False)
        self.norm3 = nn.GroupNorm(4, 24)
        self.conv4 = nn.Conv2d(24, 24, 3, padding=1, bias=False)
        self.norm4 = nn.GroupNorm(4, 24)
        self.drop = nn.Dropout(0.05)
        self.conv5 = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        x = F.relu(self.norm3(self.conv3(x)))
        x = self.drop(F.relu(self.norm4(self.conv4(x))))
        x = F.adaptive_avg_pool2d(self.conv5(x), 1)
        return F.log_softmax(x.view(-1, 10), dim=1)
