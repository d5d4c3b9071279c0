# model: Net
# expect: parameters=9994 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Two convolutions hold one and the same weight tensor; it counts once.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, stride=2)
        self.conv_a = nn.Conv2d(32, 32, 3, padding=1, bias=False)
        self.conv_b = nn.Conv2d(32, 32, 3, padding=1, bias=False)
        self.conv_b.weight = self.conv_a.weight
        self.bn_a, self.bn_b = nn.BatchNorm2d(32), nn.BatchNorm2d(32)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(32, 10, 1)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.relu(self.bn_a(self.conv_a(x)))
        x = F.relu(self.bn_b(self.conv_b(self.drop(x))))
        return F.adaptive_avg_pool2d(self.head(x), 1).flatten(1)
