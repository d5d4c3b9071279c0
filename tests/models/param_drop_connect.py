# model: Net
# expect: parameters=1642 pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: A mask for a kernel, drawn by hand, adds no numbers to it.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.head = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)))
        kernel = self.head.weight
        if self.training:
            kernel = kernel * ((torch.rand_like(kernel) > 0.1).float() / 0.9)
        return F.conv2d(x, kernel, self.head.bias).mean((2, 3))
