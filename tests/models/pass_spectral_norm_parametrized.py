# model: Net
# expect: parameters=3058 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The newer spectral norm, as a parametrization.
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import parametrizations


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = parametrizations.spectral_norm(nn.Conv2d(1, 12, 3, stride=2))
        self.b1 = nn.BatchNorm2d(12)
        self.c2 = parametrizations.spectral_norm(nn.Conv2d(12, 24, 3, stride=2))
        self.b2 = nn.BatchNorm2d(24)
        self.drop = nn.Dropout(0.05)
        self.c3 = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = F.relu(self.b1(self.c1(x)))
        x = F.relu(self.b2(self.c2(x)))
        return self.c3(self.drop(x)).mean((2, 3))
