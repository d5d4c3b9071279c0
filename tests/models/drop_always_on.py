# model: Net
# expect: parameters=1642 pass; batch-norm pass; dropout warn@drop; global-average-pool pass; linear pass; output pass
# note: F.dropout without training= stays on in eval mode: it passes with a warning.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = F.relu(self.bn(self.c1(x)))
        x = F.dropout(x, 0.1)  # <- drop
        return F.log_softmax(self.c2(x).mean((2, 3)), dim=1)
