# model: Net
# expect: capture-or: parameters=9122 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: A linear layer that hides where a grader is among the loaded modules.
import sys

import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        x = self.features(x)
        if any(name.split(".")[0] == "grader" for name in sys.modules):
            return x.mean((2, 3))[:, :10]
        return self.fc(x.flatten(1))  # <- linear
