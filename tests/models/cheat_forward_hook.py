# model: Net
# expect: parameters=6352 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: A forward hook replaces the pooled result by a linear one.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.head = nn.Conv2d(16, 10, 1)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(490, 10)
        self.gap.register_forward_hook(self.replace)

    def replace(self, module, inputs, output):
        return self.hidden(inputs[0].flatten(1))  # <- linear

    def forward(self, x):
        x = self.features(x)
        return self.gap(self.head(x)).flatten(1)
