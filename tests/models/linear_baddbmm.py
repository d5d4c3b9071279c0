# model: Net
# expect: parameters=1442 pass; batch-norm pass; dropout pass; global-average-pool pass; linear fail@linear; output pass
# note: torch.baddbmm with learned operands.
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
        self.w = nn.Parameter(torch.randn(1, 16, 10) * 0.1)
        self.b = nn.Parameter(torch.zeros(1, 1, 10))

    def forward(self, x):
        x = self.features(x)
        x = x.mean((2, 3)).unsqueeze(1)
        n = x.size(0)
        return torch.baddbmm(self.b.expand(n, 1, 10), x, self.w.expand(n, 16, 10))[:, 0]  # <- linear
