# model: Net
# expect: parameters=352 pass; batch-norm pass; dropout any; global-average-pool pass; linear fail@linear; output pass
# note: Weights drawn from a distribution around learned ones are learned.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.head = nn.Parameter(torch.randn(10, 16))

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)))
        x = x.mean((2, 3))
        weight = torch.normal(self.head, 0.01) if self.training else self.head
        return (x.unsqueeze(1) * weight).sum(-1)  # <- linear
