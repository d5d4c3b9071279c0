# model: Net
# expect: parameters=1434 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Without running statistics the batch's own are used, always.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, stride=2)
        self.b1 = nn.BatchNorm2d(8, track_running_stats=False)
        self.c2 = nn.Conv2d(8, 16, 3, stride=2)
        self.drop = nn.Dropout(0.1)
        self.c3 = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = F.relu(self.b1(self.c1(x)))
        x = self.drop(F.relu(self.c2(x)))
        return self.c3(x).mean((2, 3))
