# model: Net
# expect: parameters=2050 pass; batch-norm pass; dropout pass; global-average-pool fail@pool; linear pass; output pass
# note: A 3x3 window on a 5x5 map leaves rows and columns out.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 5 x 5
        self.head = nn.Conv2d(16, 10, 1)
        self.gap = nn.AvgPool2d(3)

    def forward(self, x):
        x = self.head(self.net(x))
        x = self.gap(x)  # <- pool
        return F.log_softmax(x.view(-1, 10), dim=1)
