# model: Net
# expect: parameters pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: The factor zero stands in a buffer that nothing ever changes.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.5)
        self.c2 = nn.Conv2d(16, 10, 3)
        self.register_buffer("mix", torch.zeros(1))

    def forward(self, x):
        x = F.relu(self.bn(self.c1(x)))
        x = (1 - self.mix) * x + self.mix * self.drop(x)
        return self.c2(x).mean((2, 3))
