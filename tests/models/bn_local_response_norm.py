# model: Net
# expect: parameters=2986 pass; batch-norm fail; dropout pass; global-average-pool pass; linear pass; output pass
# note: Local response normalisation is not batch norm.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2), nn.ReLU(), nn.LocalResponseNorm(3),
            nn.Conv2d(12, 24, 3, stride=2), nn.ReLU(), nn.LocalResponseNorm(3), nn.Dropout(0.1),
        )
        self.head = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        return self.head(self.features(x)).mean((2, 3))
