# model: Net
# expect: parameters=1994+18432 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Kernels registered as buffers are weights.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 7, stride=2)
        self.bn = nn.BatchNorm2d(32)
        self.drop = nn.Dropout(0.1)
        self.register_buffer("k1", torch.randn(32, 32, 3, 3) * 0.05)
        self.register_buffer("k2", torch.randn(32, 32, 3, 3) * 0.05, persistent=False)
        self.head = nn.Conv2d(32, 10, 1)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.stem(x))))
        x = F.relu(F.conv2d(x, self.k1, padding=1))
        x = F.relu(F.conv2d(x, self.k2, padding=1))
        return self.head(x).mean((2, 3))
