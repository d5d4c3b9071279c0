# model: SeluNet
# expect: parameters=1642 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: AlphaDropout is dropout.
import torch
import torch.nn as nn
import torch.nn.functional as F


class SeluNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.AlphaDropout(0.05)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = self.drop(F.selu(self.bn(self.c1(x))))
        return self.c2(x).mean((2, 3))
