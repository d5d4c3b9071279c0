# model: Net
# expect: parameters=22058 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: requires_grad=False takes nothing off the count.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.random_features = nn.Conv2d(1, 64, 7, stride=2)
        self.mix = nn.Conv2d(64, 32, 3)
        for p in list(self.random_features.parameters()) + list(self.mix.parameters()):
            p.requires_grad = False
        self.bn = nn.BatchNorm2d(32)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(32, 10, 1)

    def forward(self, x):
        x = F.relu(self.mix(F.relu(self.random_features(x))))
        return self.head(self.drop(self.bn(x))).mean((2, 3))
