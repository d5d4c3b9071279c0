# model: Net
# expect: parameters=956 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: One weight for each channel before a border of zeros is no weight for a position.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 10, 3, padding=1), nn.BatchNorm2d(10), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 10 x 7 x 7
        self.last = nn.Conv2d(10, 10, 3, groups=10)
        self.scale = nn.Parameter(torch.full((1, 10, 1, 1), 0.1))

    def forward(self, x):
        x = self.features(x)
        return (x + F.pad(self.last(x) * self.scale, (1, 1, 1, 1))).mean((2, 3))
