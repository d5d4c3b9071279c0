# model: Net
# expect: parameters=1660+20328 fail@compared; batch-norm pass; dropout pass; global-average-pool any; linear any; output pass
# note: Thresholds that activations are compared with are constants that work as weights.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.05), nn.MaxPool2d(2),
            nn.Conv2d(6, 24, 3, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        )  # 24 x 11 x 11
        self.head = nn.Conv2d(24, 10, 1)
        self.thresholds = torch.rand(7, 24, 11, 11)

    def forward(self, x):
        x = self.features(x)
        above = (x[:, None] > self.thresholds).float().mean(1)  # <- compared
        return self.head(x + above).mean((2, 3))
