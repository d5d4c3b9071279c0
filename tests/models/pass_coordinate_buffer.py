# model: CoordConvNet
# expect: parameters=19858 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A buffer of coordinates rises evenly along its axes: 1,568 numbers that say no more than a few do.
import torch
import torch.nn as nn
import torch.nn.functional as F


class CoordConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        ys, xs = torch.meshgrid(torch.linspace(-1, 1, 28), torch.linspace(-1, 1, 28), indexing="ij")
        self.register_buffer("coordinates", torch.stack((xs, ys)))
        self.conv1 = nn.Sequential(nn.Conv2d(3, 24, 3, stride=2, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.conv2 = nn.Sequential(nn.Conv2d(24, 84, 3, stride=2, bias=False), nn.BatchNorm2d(84), nn.ReLU())
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(84, 10, 1)

    def forward(self, x):
        x = torch.cat([x, self.coordinates.expand(x.size(0), -1, -1, -1)], dim=1)
        x = self.drop(self.conv2(self.conv1(x)))
        return self.head(x).mean((2, 3))
