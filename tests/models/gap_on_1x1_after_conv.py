# model: Net
# expect: parameters=2722 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: The 3x3 convolution leaves a 1x1 map, and AvgPool2d(1) does nothing.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.pool3 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(16, 10, 3)
        self.gap = nn.AvgPool2d(1)

    def forward(self, x):
        x = self.features(x)
        x = self.pool3(x)
        x = self.conv3(x)  # <- linear
        return self.gap(x).view(-1, 10)
