# model: MobileNetish
# expect: parameters=7258 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Depthwise and pointwise convolutions.
import torch
import torch.nn as nn
import torch.nn.functional as F


def dw_sep(cin, cout, stride):
    return nn.Sequential(
        nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False),
        nn.BatchNorm2d(cin),
        nn.ReLU6(inplace=True),
        nn.Conv2d(cin, cout, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU6(inplace=True),
    )


class MobileNetish(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.body = nn.Sequential(dw_sep(16, 32, 2), dw_sep(32, 48, 2), dw_sep(48, 64, 1))
        self.drop = nn.Dropout(0.2)
        self.head = nn.Conv2d(64, 10, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        x = self.drop(self.body(self.stem(x)))
        return self.pool(self.head(x)).flatten(1)
