# model: Net
# expect: parameters=10354 pass; batch-norm pass; dropout pass; global-average-pool fail; linear any; output pass
# note: Strided convolutions shrink the map to 1x1; nothing is averaged.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        channels = [1, 8, 12, 16, 20, 24]
        layers = []
        for cin, cout in zip(channels, channels[1:]):
            layers += [nn.Conv2d(cin, cout, 3, 2, 1), nn.BatchNorm2d(cout), nn.ReLU(), nn.Dropout(0.05)]
        self.body = nn.Sequential(*layers)  # 14, 7, 4, 2, 1
        self.head = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        return self.head(self.body(x)).flatten(1)
