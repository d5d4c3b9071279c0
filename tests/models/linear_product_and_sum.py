# model: Net
# expect: parameters=1432 pass; batch-norm pass; dropout pass; global-average-pool pass; linear fail@linear,product; output pass
# note: A linear layer written as a product and a sum.
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
        self.w = nn.Parameter(torch.randn(10, 16) * 0.1)

    def forward(self, x):
        x = self.features(x)
        x = x.mean((2, 3)).unsqueeze(1)
        x = x * self.w  # <- product
        return x.sum(-1)  # <- linear
