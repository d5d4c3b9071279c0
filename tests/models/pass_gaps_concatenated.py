# model: MultiScale
# expect: parameters=4130 pass; batch-norm pass; dropout pass; global-average-pool pass; linear ok; output pass
# note: Means of two maps of different size, concatenated; every path goes through a mean.
import torch
import torch.nn as nn
import torch.nn.functional as F


class MultiScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.05))
        self.stage2 = nn.Sequential(nn.Conv2d(16, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU())
        self.mix = nn.Conv2d(40, 10, 1)

    def forward(self, x):
        a = self.stage1(x)
        b = self.stage2(a)
        pooled = torch.cat([F.adaptive_avg_pool2d(a, 1), F.adaptive_avg_pool2d(b, 1)], dim=1)
        return F.log_softmax(self.mix(pooled).flatten(1), dim=1)
