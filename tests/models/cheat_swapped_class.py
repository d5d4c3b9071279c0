# model: Net
# expect: parameters=9122 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: __class__ and type names say pooling; the forward is linear.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Pool(nn.Linear):
    @property
    def __class__(self):
        return nn.AdaptiveAvgPool2d

    def __repr__(self):
        return "AdaptiveAvgPool2d(output_size=1)"

    def extra_repr(self):
        return "output_size=1"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.gap = Pool(784, 10)

    def forward(self, x):
        x = self.features(x)
        return self.gap(x.flatten(1))  # <- linear
