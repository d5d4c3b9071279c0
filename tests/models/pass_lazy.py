# model: LazyNet
# expect: parameters=1466 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Lazy layers learn their sizes in the first forward.
import torch.nn as nn


class LazyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.ReLU(),
            nn.LazyConv2d(16, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.MaxPool2d(2),
            nn.Dropout(0.1),
            nn.LazyConv2d(10, 1),
        )
        self.gap = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        return self.gap(self.net(x)).flatten(1)
