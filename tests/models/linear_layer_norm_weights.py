# model: Net
# expect: parameters=16952 pass; batch-norm pass; dropout pass; global-average-pool pass; linear fail; output pass
# note: The scale of a normalisation over ten copies of the map weighs every position for every class.
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
        self.norm = nn.LayerNorm([160, 7, 7])

    def forward(self, x):
        x = self.norm(self.features(x).repeat(1, 10, 1, 1))
        return x.view(-1, 10, 16, 7, 7).mean((2, 3, 4))
