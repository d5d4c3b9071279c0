# model: CoordConvNet
# expect: parameters pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Coordinate channels are data, not weights that reach a layer as its kernel.
import torch
import torch.nn as nn
import torch.nn.functional as F


class CoordConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 12, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2)
        self.bn2 = nn.BatchNorm2d(24)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        n, _, h, w = x.shape
        ys = torch.linspace(-1, 1, h).view(1, 1, h, 1).expand(n, 1, h, w)
        xs = torch.linspace(-1, 1, w).view(1, 1, 1, w).expand(n, 1, h, w)
        x = torch.cat([x, ys, xs], dim=1)
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.drop(F.relu(self.bn2(self.conv2(x))))
        return self.head(x).mean((2, 3))
