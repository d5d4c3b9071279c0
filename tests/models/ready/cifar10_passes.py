"""Four blocks in place of pooling: strides, one depthwise-separable and one dilated convolution in each of two."""

import torch.nn as nn
import torch.nn.functional as F


def layer(inputs, outputs, kernel=3, **options):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, bias=False, **options),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Dropout(0.05),
    )


def separable(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        layer(inputs, outputs, 1),
    )


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block1 = nn.Sequential(layer(3, 32, padding=1), layer(32, 32, padding=1, stride=2))
        self.block2 = nn.Sequential(separable(32, 64), layer(64, 64, padding=2, dilation=2), layer(64, 32, 1))
        self.down = layer(32, 64, padding=1, stride=2)
        self.block3 = nn.Sequential(separable(64, 96), layer(96, 48, padding=2, dilation=2))
        self.block4 = nn.Sequential(separable(48, 96), separable(96, 96))
        self.head = nn.Conv2d(96, 10, 1)

    def forward(self, x):
        x = self.down(self.block2(self.block1(x)))
        x = self.head(self.block4(self.block3(x)))
        return F.log_softmax(F.adaptive_avg_pool2d(x, 1).flatten(1), dim=1)
