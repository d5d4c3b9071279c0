# model: Net
# expect: parameters=362 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A tensor that is drawn anew before each use holds nothing from before.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Noise(nn.Module):
    def __init__(self, size, std=0.05):
        super().__init__()
        self.noise = torch.zeros(size, size)
        self.std = std

    def forward(self, x):
        if not self.training:
            return x
        self.noise.data.normal_(0, std=self.std)
        return x + self.noise


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.noise = Noise(28)
        self.stem = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.stem(self.noise(x))
        return self.head(self.drop(F.relu(self.bn(x)))).mean((2, 3))
