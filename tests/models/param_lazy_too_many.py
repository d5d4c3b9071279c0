# model: Net
# expect: parameters=24778 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Lazy convolutions, counted after the first forward, are over the limit.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.LazyConv2d(32, 3, stride=2), nn.LazyBatchNorm2d(), nn.ReLU(),
            nn.LazyConv2d(64, 3, stride=2), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Dropout(0.1),
            nn.LazyConv2d(10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )

    def forward(self, x):
        return self.net(x)
