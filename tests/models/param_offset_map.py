# model: Net
# expect: parameters=1660+2904 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A fixed map that is added does what a bias for each position does: its numbers count as that bias would.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.05), nn.MaxPool2d(2),
            nn.Conv2d(6, 24, 3, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        )  # 24 x 11 x 11
        self.head = nn.Conv2d(24, 10, 1)
        self.register_buffer("offset", torch.randn(24, 11, 11))

    def forward(self, x):
        x = F.relu(self.features(x) + self.offset)
        return self.head(x).mean((2, 3))
