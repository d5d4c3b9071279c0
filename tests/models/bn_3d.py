# model: Net
# expect: parameters=1618 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: BatchNorm3d over a volume made of the channels normalises with batch statistics as well.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm3d(4)
        self.drop = nn.Dropout(0.1)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = self.c1(x)
        x = self.bn(x.view(x.size(0), 4, 4, x.size(2), x.size(3))).flatten(1, 2)
        return self.c2(self.drop(F.relu(x))).mean((2, 3))
