# model: Net
# expect: parameters=3022 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Spectral norm multiplies weights with its own state u and v: neither a dense layer nor weights.
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import spectral_norm


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = spectral_norm(nn.Conv2d(1, 12, 3, stride=2, bias=False))
        self.b1 = nn.BatchNorm2d(12)
        self.c2 = spectral_norm(nn.Conv2d(12, 24, 3, stride=2, bias=False))
        self.b2 = nn.BatchNorm2d(24)
        self.drop = nn.Dropout(0.05)
        self.c3 = spectral_norm(nn.Conv2d(24, 10, 1))

    def forward(self, x):
        x = F.relu(self.b1(self.c1(x)))
        x = F.relu(self.b2(self.c2(x)))
        x = self.c3(self.drop(x))
        return F.log_softmax(F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0], dim=1)
