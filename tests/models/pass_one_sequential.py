# model: Net
# expect: parameters=6994 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: One nn.Sequential with Flatten and LogSoftmax inside.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.BatchNorm2d(8),
            nn.Conv2d(8, 16, 3), nn.ReLU(), nn.BatchNorm2d(16), nn.MaxPool2d(2), nn.Dropout(0.1),
            nn.Conv2d(16, 24, 3), nn.ReLU(), nn.BatchNorm2d(24), nn.Dropout(0.1),
            nn.Conv2d(24, 10, 3),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LogSoftmax(dim=1),
        )

    def forward(self, x):
        return self.model(x)
