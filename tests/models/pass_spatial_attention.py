# model: CBAMNet
# expect: parameters=1540 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Attention from the mean and the maximum over channels, through a padded 7x7 convolution.
import torch
import torch.nn as nn
import torch.nn.functional as F


class SpatialAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x):
        avg = torch.mean(x, dim=1, keepdim=True)
        top, _ = torch.max(x, dim=1, keepdim=True)
        return x * torch.sigmoid(self.conv(torch.cat([avg, top], dim=1)))


class CBAMNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.attention = SpatialAttention()
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.features(x)
        x = self.head(self.attention(x))
        return F.log_softmax(F.avg_pool2d(x, kernel_size=7).squeeze(3).squeeze(2), dim=1)
