# model: DigitNet
# expect: parameters=2050 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: torch.mean with negative axes.
import torch
import torch.nn as nn
import torch.nn.functional as F


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 5 x 5
        self.conv_out = nn.Conv2d(16, 10, 1)

    def forward(self, images):
        features = self.net(images)
        scores = torch.mean(self.conv_out(features), dim=(-2, -1))
        return torch.log_softmax(scores, dim=-1)
