# model: Net
# expect: parameters=1660+21600 fail@distance; batch-norm pass; dropout pass; global-average-pool pass; linear any; output pass
# note: Numbers that look like the rounding of ones are weights once they are magnified.
import torch
import torch.nn as nn
import torch.nn.functional as F

ONES = 1 + torch.randn(10, 90, 24, generator=torch.Generator().manual_seed(1)).sign() * 2.0**-23


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.05), nn.MaxPool2d(2),
            nn.Conv2d(6, 24, 3, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        )  # 24 x 11 x 11
        self.head = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = self.features(x).mean((2, 3))
        distances = (x[:, None, None] - (ONES - 1) * 2.0**23).abs().mean(3)  # <- distance
        return self.head(x[:, :, None, None]).flatten(1) - distances.amin(2)
