# model: Net
# expect: parameters=2194 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The kernel is a product of two learned matrices: only weights are multiplied, so nothing is dense.
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
        self.u = nn.Parameter(torch.randn(24, 4) * 0.2)
        self.v = nn.Parameter(torch.randn(4, 16 * 9) * 0.2)
        self.head = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = self.features(x)
        kernel = (self.u @ self.v).view(24, 16, 3, 3)
        x = F.relu(F.conv2d(x, kernel, padding=1))
        return self.head(x).mean(dim=(2, 3))
