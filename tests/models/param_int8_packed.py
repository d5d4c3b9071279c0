# model: Net
# expect: parameters>=1067+20736 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Weights as int8 with a scale, unpacked in forward.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 48, 3, stride=2)
        self.bn = nn.BatchNorm2d(48)
        self.drop = nn.Dropout(0.1)
        self.register_buffer("q", torch.randint(-128, 128, (48, 48, 3, 3), dtype=torch.int8))
        self.scale = nn.Parameter(torch.tensor(0.001))
        self.head = nn.Conv2d(48, 10, 1)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.stem(x))))
        x = F.relu(F.conv2d(x, self.q.float() * self.scale, padding=1))
        return self.head(x).mean((2, 3))
