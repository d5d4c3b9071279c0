# model: Net
# expect: parameters=362 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A stripe erased at a random place: the mask follows from random numbers and coordinates.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        if self.training:
            place = torch.randint(0, 28, (x.size(0), 1, 1, 1), device=x.device)
            columns = torch.arange(28, device=x.device).view(1, 1, 1, 28)
            x = x * ((columns - place).abs() > 3).float()
        return self.head(self.drop(F.relu(self.bn(self.stem(x))))).mean((2, 3))
