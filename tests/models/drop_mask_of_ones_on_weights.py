# model: Net
# expect: parameters=538 pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: A mask that torch's dropout makes of ones drops weights here, not activations.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 3, stride=2)
        self.bn = nn.BatchNorm2d(24)
        self.head = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)))
        mask = F.dropout(torch.ones(10, 24, 1, 1), 0.1, self.training)
        return F.conv2d(x, self.head.weight * mask, self.head.bias).mean((2, 3))
