"""Orthogonal initialisation, which the grader's permutation of the weights must keep."""

import torch.nn as nn
import torch.nn.functional as F


def block(inside, outside, **options):
    conv = nn.Conv2d(inside, outside, 3, bias=False, **options)
    nn.init.orthogonal_(conv.weight, gain=nn.init.calculate_gain("relu"))
    return nn.Sequential(conv, nn.BatchNorm2d(outside), nn.ReLU(), nn.Dropout(0.05))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            block(1, 8),
            nn.MaxPool2d(2),
            block(8, 16),
            nn.MaxPool2d(2),
            block(16, 20, padding=1),
            block(20, 24, padding=1),
        )
        self.head = nn.Conv2d(24, 10, 1)
        nn.init.orthogonal_(self.head.weight)

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.head(self.layers(x)), 1)
        return F.log_softmax(x.flatten(1), dim=1)
