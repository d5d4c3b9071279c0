# model: Net
# expect: parameters=3082 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Patches of 2x2 are moved into channels by views, as pixel_unshuffle does; each position still stands for a place.
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
        self.merge = nn.Conv2d(64, 24, 1)
        self.head = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = F.pad(self.features(x), (0, 1, 0, 1))
        n, c, h, w = x.shape
        x = x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(n, c * 4, h // 2, w // 2)
        return self.head(F.relu(self.merge(x))).mean((2, 3))
