# model: Net
# expect: parameters=362 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: torch's dropout makes the mask: it acts as if the activations were dropped.
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
        x = x * F.dropout(torch.ones_like(x), 0.1, self.training)
        return self.head(x).mean((2, 3))
