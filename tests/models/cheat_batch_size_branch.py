# model: Net
# expect: capture-or: parameters=9292 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail; output pass
# note: Small batches see pooling, large ones the linear layer.
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
        x = self.features(x)
        if x.shape[0] > 4:
            return self.fc(x.flatten(1))
        return self.head(x).mean((2, 3))
