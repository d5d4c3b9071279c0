# model: Net
# expect: parameters=1922 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: AdaptiveAvgPool2d(2), then a 2x2 convolution over what remains.
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
        self.pool = nn.AdaptiveAvgPool2d((2, 2))
        self.head = nn.Conv2d(16, 10, 2)

    def forward(self, x):
        x = self.features(x)
        x = self.pool(x)
        return self.head(x).squeeze(-1).squeeze(-1)  # <- linear
