# model: Net
# expect: parameters=2826 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Slopes and scales of channels before a padded depthwise convolution weigh no position: zeros at the border do.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2))
        self.conv = nn.Conv2d(16, 16, 3, bias=False)
        self.drop = nn.Dropout(0.05)
        self.slope = nn.PReLU(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False)
        self.scale = nn.Parameter(torch.ones(16, 1, 1))
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.slope(self.drop(self.conv(self.stem(x))))
        x = x + self.depthwise(x * self.scale)
        return F.log_softmax(self.head(x).mean((2, 3)), dim=1)
