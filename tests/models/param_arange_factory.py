# model: Net
# expect: parameters>=1066+20736 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The kernel is a formula over arange: 20,736 numbers that no parameter holds.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 48, 3, stride=2)
        self.bn = nn.BatchNorm2d(48)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(48, 10, 1)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.stem(x))))
        kernel = torch.sin(torch.arange(48 * 48 * 9) * 1.3).reshape(48, 48, 3, 3) * 0.05
        x = F.relu(F.conv2d(x, kernel, padding=1))
        return self.head(x).mean((2, 3))
