# model: Net
# expect: parameters=9122 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: Positions moved into channels by unfold, then a 1x1 convolution over them.
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
        self.fc = nn.Conv1d(16 * 49, 10, 1)

    def forward(self, x):
        x = self.features(x)
        x = F.unfold(x, kernel_size=7)  # N, 784, 1
        return self.fc(x).flatten(1)  # <- linear
