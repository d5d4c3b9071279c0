# model: Net
# expect: parameters=3788 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A learned factor per channel right before the pooling is no dense layer: it does not vary over the map.
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
        self.conv = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Conv2d(16, 10, 1)
        self.scale = nn.Parameter(1e-2 * torch.ones(1, 16, 1, 1))
        self.temperature = nn.Parameter(torch.ones(10, 1, 1))

    def forward(self, x):
        x = self.features(x)
        x = x + self.scale * self.conv(x)
        x = self.head(x) * self.temperature
        return x.sum((2, 3)) / (x.shape[2] * x.shape[3])
