# model: Net
# expect: parameters pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A product with a constant uniform vector is a mean: no weight takes part.
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
        x = self.features(x)
        x = self.head(x).flatten(2)  # N, 10, 49
        mean = x @ torch.full((49, 1), 1 / 49)
        return F.log_softmax(mean.squeeze(-1), dim=1)
