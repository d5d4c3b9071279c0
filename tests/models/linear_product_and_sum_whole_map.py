# model: Net
# expect: parameters=9112 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: A product with a weight for every position, summed over everything but the classes.
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
        self.template = nn.Parameter(torch.randn(10, 16, 7, 7) * 0.05)

    def forward(self, x):
        x = self.features(x)
        return (x[:, None] * self.template).sum((2, 3, 4))  # <- linear
