# model: Net
# expect: parameters=3058 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The layers come from a base class, the forward from the subclass.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Base(nn.Module):
    drop = 0.1

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 12, 3)
        self.na = nn.BatchNorm2d(12)
        self.b = nn.Conv2d(12, 24, 3)
        self.nb = nn.BatchNorm2d(24)
        self.d = nn.Dropout(self.drop)
        self.head = nn.Conv2d(24, 10, 1)

    def features(self, x):
        x = F.max_pool2d(F.relu(self.na(self.a(x))), 2)
        return self.d(F.relu(self.nb(self.b(x))))


class Net(Base):
    drop = 0.05

    def forward(self, x):
        x = self.head(self.features(x))
        return x.mean(dim=(2, 3))
