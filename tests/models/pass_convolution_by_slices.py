# model: Net
# expect: parameters=1556 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The last layer is a depthwise convolution by hand: shifted slices that together cover the map, weighted and added.
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
            nn.Conv2d(16, 10, 1),
        )  # 10 x 7 x 7
        self.kernel = nn.Parameter(0.3 * torch.randn(10, 3, 3))

    def forward(self, x):
        x = self.features(x)
        taps = [(i, j) for i in range(3) for j in range(3)]
        x = sum(x[:, :, i : i + 5, j : j + 5] * self.kernel[:, i, j].view(10, 1, 1) for i, j in taps)
        return x.mean((2, 3))
