# model: Net
# expect: parameters=1434 pass; batch-norm fail; dropout pass; global-average-pool pass; linear pass; output pass
# note: Instance norm named bn is still instance norm.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2)
        self.bn1 = nn.InstanceNorm2d(8, affine=True, track_running_stats=True)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2)
        self.bn2 = nn.InstanceNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.conv3 = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.drop(F.relu(self.bn2(self.conv2(x))))
        return self.conv3(x).mean((2, 3))
