# model: Net
# expect: capture-or: parameters>=9122 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail; output pass
# note: The sign of the weights depends on the process; linear it is either way.
import torch
import torch.nn as nn
import torch.nn.functional as F

import os


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.fc = nn.Linear(784, 10)
        self.weights = [self.fc.weight, -self.fc.weight]

    def forward(self, x):
        x = self.features(x)
        return F.linear(x.flatten(1), self.weights[os.getpid() % 2])
