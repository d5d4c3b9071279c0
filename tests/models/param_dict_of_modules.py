# model: Net
# expect: parameters=1994+18496 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A plain dict hides two convolutions.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.extra = {"a": nn.Conv2d(32, 32, 3, padding=1), "b": nn.Conv2d(32, 32, 3, padding=1)}
        self.stem = nn.Conv2d(1, 32, 7, stride=2)
        self.bn = nn.BatchNorm2d(32)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(32, 10, 1)

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)))
        x = self.drop(F.relu(self.extra["a"](x)))
        x = F.relu(self.extra["b"](x))
        return self.head(x).mean((2, 3))
