# model: Net
# expect: parameters=2674 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: PixelUnshuffle for downsampling, chunk for two halves, no pooling but the last.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.PixelUnshuffle(2)
        self.c1 = nn.Conv2d(4, 16, 3, padding=1)
        self.n1 = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(8, 24, 3, padding=1)
        self.n2 = nn.BatchNorm2d(24)
        self.drop = nn.Dropout(0.05)
        self.head = nn.Conv2d(24, 10, 1)
        self.gap = nn.AvgPool2d(14)

    def forward(self, x):
        a, b = self.n1(self.c1(self.down(x))).chunk(2, dim=1)
        x = a * torch.sigmoid(b)
        x = F.silu(self.n2(self.c2(self.drop(x))))
        return self.gap(self.head(x)).flatten(1)
