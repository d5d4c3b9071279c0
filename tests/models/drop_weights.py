# model: Net
# expect: parameters=1642 pass; batch-norm pass; dropout any; global-average-pool pass; linear pass; output pass
# note: Dropout of a kernel (DropConnect) acts in training; whether that is the rule's dropout is left open.
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
        kernel = F.dropout(self.c2.weight, 0.1, self.training)
        return F.conv2d(x, kernel, self.c2.bias).mean((2, 3))
