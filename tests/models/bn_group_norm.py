# model: Net
# expect: parameters=2714 pass; batch-norm fail; dropout pass; global-average-pool pass; linear pass; output pass
# note: Group norm uses one image at a time.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.n1 = nn.GroupNorm(4, 16)
        self.c2 = nn.Conv2d(16, 16, 3, stride=2)
        self.n2 = nn.GroupNorm(4, 16)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = F.relu(self.n1(self.c1(x)))
        x = self.drop(F.relu(self.n2(self.c2(x))))
        return self.head(x).mean((2, 3))
