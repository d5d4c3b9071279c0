# model: Net
# expect: parameters=826 pass; batch-norm fail; dropout pass; global-average-pool pass; linear pass; output pass
# note: What batch norm adds is subtracted again.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.1)
        self.conv2 = nn.Conv2d(8, 10, 3)

    def forward(self, x):
        x = self.conv1(x)
        normed = self.bn1(x)
        x = F.relu(x + normed - normed)
        return self.conv2(self.drop(x)).mean((2, 3))
