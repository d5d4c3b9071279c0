"""No normalisation at all: what a first attempt looks like, and what trains slowest under a fixed recipe.

fails: batch-norm
"""

import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 3)
        self.conv2 = nn.Conv2d(10, 16, 3)
        self.conv3 = nn.Conv2d(16, 24, 3, padding=1)
        self.conv4 = nn.Conv2d(24, 24, 3, padding=1)
        self.conv5 = nn.Conv2d(24, 10, 1)
        self.drop = nn.Dropout(0.05)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = self.drop(F.max_pool2d(F.relu(self.conv2(x)), 2))
        x = self.drop(F.relu(self.conv3(x)))
        x = F.relu(self.conv4(x))
        x = F.adaptive_avg_pool2d(self.conv5(x), 1)
        return F.log_softmax(x.view(-1, 10), dim=1)
