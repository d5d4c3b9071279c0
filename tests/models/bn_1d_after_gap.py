# model: Net
# expect: parameters=3034 pass; batch-norm pass; dropout pass; global-average-pool pass; linear ok; output pass
# note: The only batch norm is a BatchNorm1d behind the pooling.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 3, stride=2)
        self.c2 = nn.Conv2d(12, 24, 3, stride=2)
        self.bn = nn.BatchNorm1d(24)
        self.drop = nn.Dropout(0.1)
        self.c3 = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = F.relu(self.c2(F.relu(self.c1(x))))
        x = self.bn(x.mean((2, 3)))
        x = self.drop(x)[:, :, None, None]
        return self.c3(x).flatten(1)
