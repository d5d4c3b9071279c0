# model: Net
# expect: parameters=362 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Scaled noise on the image is drawn anew each time: it holds nothing.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        if self.training:
            x = x + 0.1 * torch.randn_like(x)
        return self.head(self.drop(F.relu(self.bn(self.stem(x))))).mean((2, 3))
