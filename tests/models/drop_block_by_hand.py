# model: Net
# expect: parameters=362 pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: DropBlock from random seeds of blocks: not torch's dropout, and no weights.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)))
        if self.training:
            seeds = (torch.rand(x.size(0), 1, *x.shape[2:], device=x.device) < 0.02).float()
            mask = 1 - F.max_pool2d(seeds, 3, 1, 1)
            x = x * mask * mask.numel() / mask.sum()
        return self.head(x).mean((2, 3))
