# model: Net
# expect: parameters=1442 pass; batch-norm pass; dropout pass; global-average-pool fail; linear pass; output pass
# note: The maximum is spread over a map of copies, of which a convolution and a mean follow.
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
        x = F.adaptive_max_pool2d(self.features(x), 1)
        return self.head(F.pad(x, (1, 1, 1, 1), mode="replicate")).mean((2, 3))
