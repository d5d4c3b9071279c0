# model: Net
# expect: parameters=2226 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: A learned depthwise 7x7 over a 7x7 map weighs positions: it is no mean.
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
        self.pool = nn.Conv2d(16, 16, 7, groups=16, bias=False)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.features(x)
        x = self.pool(x)  # <- linear
        return self.head(x).flatten(1)
