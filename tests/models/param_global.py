# model: Net
# expect: parameters=1066+20736 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A module-level tensor is a kernel.
import torch
import torch.nn as nn
import torch.nn.functional as F

KERNEL = torch.randn(48, 48, 3, 3) * 0.04


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 48, 3, stride=2)
        self.bn = nn.BatchNorm2d(48)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(48, 10, 1)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.stem(x))))
        x = F.relu(torch.conv2d(x, KERNEL, padding=1))
        return self.head(x).mean((2, 3))
