# model: Net
# expect: parameters=1452 pass; batch-norm any; dropout any; global-average-pool any; linear any; output fail
# note: Every image gets the same scores.
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
        self.head = nn.Conv2d(16, 10, 1)
        self.scores = nn.Parameter(torch.zeros(10))

    def forward(self, x):
        x = self.features(x)
        return self.head(x).mean((2, 3)) * 0 + self.scores
