# model: Net
# expect: parameters>=362+756 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Only the first row of the fixed map is drawn anew: the rest is added as it was made.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = torch.randn(28, 28)
        self.stem = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        self.map[0].normal_()
        x = self.stem(x + self.map)
        return self.head(self.drop(F.relu(self.bn(x)))).mean((2, 3))
