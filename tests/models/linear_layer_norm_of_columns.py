# model: Net
# expect: parameters=1456 pass; batch-norm pass; dropout pass; global-average-pool any; linear fail@linear; output pass
# note: LayerNorm(7) has a weight for each column of the map, right before their mean.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.norm = nn.LayerNorm(7)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.norm(self.features(x))  # <- linear
        return self.head(x).mean((2, 3))
