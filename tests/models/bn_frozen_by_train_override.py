# model: Net
# expect: parameters=1642 pass; batch-norm fail@frozen; dropout pass; global-average-pool pass; linear pass; output pass
# note: train() keeps the batch norms in eval mode, so they never see batch statistics.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.c2 = nn.Conv2d(16, 10, 3)

    def train(self, mode=True):
        super().train(mode)
        self.bn.eval()
        return self

    def forward(self, x):
        x = F.relu(self.bn(self.c1(x)))  # <- frozen
        return self.c2(self.drop(x)).mean((2, 3))
