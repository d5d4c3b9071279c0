"""1×1 convolutions squeeze the channels before each 3×3 convolution, as in the course's transition blocks."""

import torch.nn as nn
import torch.nn.functional as F


def conv(inside, outside, size, padding=0):
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, padding=padding, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = conv(1, 16, 3)
        self.squeeze1 = conv(16, 8, 1)
        self.conv2 = conv(8, 24, 3)
        self.squeeze2 = conv(24, 10, 1)
        self.conv3 = conv(10, 32, 3, padding=1)
        self.squeeze3 = conv(32, 12, 1)
        self.conv4 = conv(12, 32, 3, padding=1)
        self.drop = nn.Dropout(0.05)
        self.pool = nn.MaxPool2d(2, 2)
        self.head = nn.Conv2d(32, 10, 1)

    def forward(self, x):
        x = self.squeeze1(self.pool(self.conv1(x)))
        x = self.squeeze2(self.pool(self.conv2(x)))
        x = self.squeeze3(self.conv3(x))
        x = self.head(self.drop(self.conv4(x)))
        x = F.avg_pool2d(x, kernel_size=x.size(2))
        return F.log_softmax(x.view(-1, 10), dim=1)
