# model: Net
# expect: parameters=1466 pass; batch-norm pass; dropout pass; global-average-pool fail; linear pass; output pass
# note: Negative padding cuts the border off: four positions in the middle are averaged.
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
            nn.Conv2d(16, 10, 1),
        )  # 10 x 7 x 7

    def forward(self, x):
        x = F.pad(self.features(x), (-2, -3, -2, -3))
        return F.adaptive_avg_pool2d(x, 1).flatten(1)
