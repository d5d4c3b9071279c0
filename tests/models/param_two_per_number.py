# model: Net
# expect: parameters>=1066+20736 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Each number of the buffer carries two weights, in its whole and its fractional part: the unpacked kernel counts.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 48, 3, stride=2)
        self.bn = nn.BatchNorm2d(48)
        self.drop = nn.Dropout(0.1)
        self.register_buffer("packed", torch.rand(24, 48, 3, 3) * 200)
        self.head = nn.Conv2d(48, 10, 1)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.stem(x))))
        whole = torch.floor(self.packed)
        kernel = torch.cat([whole / 2000 - 0.05, (self.packed - whole) * 0.1 - 0.05], dim=0)
        x = F.relu(F.conv2d(x, kernel, padding=1))
        return self.head(x).mean((2, 3))
