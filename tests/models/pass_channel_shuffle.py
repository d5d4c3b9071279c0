# model: ShuffleNetish
# expect: parameters=1434 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Grouped convolutions with a channel shuffle by view and transpose.
import torch
import torch.nn as nn
import torch.nn.functional as F


def channel_shuffle(x, groups):
    n, c, h, w = x.size()
    x = x.view(n, groups, c // groups, h, w)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(n, -1, h, w)


class ShuffleNetish(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 24, 3, 2, 1), nn.BatchNorm2d(24), nn.ReLU())
        self.g1 = nn.Conv2d(24, 24, 1, groups=4)
        self.dw = nn.Conv2d(24, 24, 3, 2, 1, groups=24)
        self.bn = nn.BatchNorm2d(24)
        self.g2 = nn.Conv2d(24, 40, 1, groups=4)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(40, 10, 1)

    def forward(self, x):
        x = channel_shuffle(F.relu(self.g1(self.stem(x))), 4)
        x = self.drop(F.relu(self.g2(self.bn(self.dw(x)))))
        return self.head(x).mean(dim=(2, 3))
