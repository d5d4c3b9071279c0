# model: Net
# expect: parameters=9122 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: The flattened map is spread over 2x2 positions and averaged again: the classic classifier behind a pooling of copies.
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
        self.fc = nn.Conv2d(784, 10, 1)

    def forward(self, x):
        x = self.features(x).view(-1, 784, 1, 1).expand(-1, -1, 2, 2)
        return self.fc(x).mean((2, 3))  # <- linear
