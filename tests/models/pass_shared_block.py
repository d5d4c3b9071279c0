# model: RecurrentConv
# expect: parameters=5722 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: One block applied four times; its numbers count once.
import torch
import torch.nn as nn
import torch.nn.functional as F


class RecurrentConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 3, stride=2)
        self.shared = nn.Sequential(nn.Conv2d(24, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.Dropout(0.05))
        self.head = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = self.stem(x)
        for _ in range(4):
            x = x + self.shared(x)
        return self.head(x).mean((-1, -2))
