# model: Net
# expect: parameters=1466 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: momentum=None means a cumulative average; batch statistics are used in training all the same.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2), nn.BatchNorm2d(8, momentum=None), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2), nn.BatchNorm2d(16, momentum=None), nn.ReLU(), nn.Dropout(0.1),
            nn.Conv2d(16, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )

    def forward(self, x):
        return self.layers(x)
