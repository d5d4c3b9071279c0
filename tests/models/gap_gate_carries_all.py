# model: Net
# expect: parameters=1442 pass; batch-norm pass; dropout pass; global-average-pool fail; linear pass; output pass
# note: The map that is averaged is all but constant; a factor that was pooled by maximum carries what the prediction knows.
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
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.head(self.features(x))
        best = F.adaptive_max_pool2d(x, 1)
        return ((1 + 1e-6 * x) * best).mean((2, 3))
