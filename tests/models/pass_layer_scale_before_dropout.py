# model: Net
# expect: parameters=394 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A factor and an offset for each channel, then dropout: positions are treated alike, whatever is dropped.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(16, 10, 1)
        self.scale = nn.Parameter(torch.ones(1, 16, 1, 1))
        self.shift = nn.Parameter(torch.zeros(1, 16, 1, 1))

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x))) * self.scale + self.shift
        return self.head(self.drop(x)).mean((2, 3))
