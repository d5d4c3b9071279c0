# model: Net
# expect: parameters=9112 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: F.linear under the name of a pooling function, in a class of that name.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(10, 784) * 0.02)
        self.adaptive_avg_pool2d = F.linear

    def forward(self, x):
        return self.adaptive_avg_pool2d(x, self.weight)  # <- linear


Pool.__name__ = "AdaptiveAvgPool2d"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.gap = Pool()

    def forward(self, x):
        x = self.features(x)
        return self.gap(x.flatten(1))
