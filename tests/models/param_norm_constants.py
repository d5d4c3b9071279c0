# model: Net
# expect: parameters=1442 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A normalisation mean and standard deviation in buffers are no weights.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(0.1307))
        self.register_buffer("std", torch.tensor(0.3081))
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = (x - self.mean) / self.std
        x = self.features(x)
        return self.head(x).mean((2, 3))
