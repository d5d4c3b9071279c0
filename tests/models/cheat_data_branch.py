# expect: ungradable data-dependent
# note: Which layer runs depends on the image's mean.
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
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        bright = x.mean() > 0.5
        x = self.features(x)
        if bright:
            return self.fc(x.flatten(1))
        return self.head(x).mean((2, 3))
