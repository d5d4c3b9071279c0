# model: Net
# expect: parameters=1272+160 pass; batch-norm pass; dropout pass; global-average-pool pass; linear fail@linear; output pass
# note: A fixed random matrix in a buffer is a weight as well: frozen or not, the layer is linear.
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
        self.register_buffer("projection", torch.randn(16, 10))

    def forward(self, x):
        x = self.features(x)
        return x.mean((2, 3)) @ self.projection  # <- linear
