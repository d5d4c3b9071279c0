# model: Net
# expect: parameters=1442 pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: What dropout dropped is put back at once.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.head = nn.Conv2d(16, 10, 1)
        self.drop = nn.Dropout(0.25)

    def forward(self, x):
        x = self.features(x)
        if self.training:
            dropped = self.drop(x)
            x = torch.where(dropped == 0, x, dropped * 0.75)
        return self.head(x).mean((2, 3))
