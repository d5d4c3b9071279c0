# model: ConvNeXtish
# expect: parameters=3874 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A padded depthwise 7x7 on a 7x7 map keeps the map: it is no dense layer.
import torch
import torch.nn as nn
import torch.nn.functional as F


class ConvNeXtish(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.dw = nn.Conv2d(16, 16, kernel_size=7, padding=3, groups=16)
        self.norm = nn.BatchNorm2d(16)
        self.up = nn.Conv2d(16, 48, 1)
        self.down = nn.Conv2d(48, 16, 1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.features(x)
        y = self.norm(self.dw(x))
        x = x + self.down(F.gelu(self.up(y)))
        return self.head(x).mean([-2, -1])
