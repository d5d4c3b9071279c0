# model: Net
# expect: parameters=826 pass; batch-norm fail; dropout pass; global-average-pool pass; linear pass; output pass
# note: The batch norm runs in eval mode alone, where it uses stored statistics.
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
        if not self.training:
            x = self.bn1(x)
        return self.conv2(self.drop(F.relu(x))).mean((2, 3))
