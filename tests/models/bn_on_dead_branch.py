# model: Net
# expect: parameters=898 pass; batch-norm fail; dropout pass; global-average-pool pass; linear pass; output pass
# note: Batch norm acts on a branch that the output does not use.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(8)
        self.side = nn.Conv2d(8, 8, 1)
        self.drop = nn.Dropout(0.1)
        self.conv2 = nn.Conv2d(8, 10, 3)

    def forward(self, x):
        x = self.conv1(x)
        features = self.side(F.relu(self.bn1(x)))
        features = features.mean((2, 3))
        x = self.drop(F.relu(x))
        return self.conv2(x).mean((2, 3))
