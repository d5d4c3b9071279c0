# model: Net
# expect: parameters=1932 pass; batch-norm pass; dropout pass; global-average-pool any; linear fail@linear,product; output pass
# note: Learned weights for each position before the mean: a weighted sum over positions.
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
        self.head = nn.Conv2d(16, 10, 1)
        self.position = nn.Parameter(torch.ones(10, 7, 7))

    def forward(self, x):
        x = self.features(x)
        x = self.head(x)
        x = x * self.position  # <- product
        return x.mean((2, 3))  # <- linear
