# model: Net
# expect: parameters=9394 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: The same gate, and a linear layer on the flattened map.
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
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.excite = nn.Conv2d(16, 16, 1)
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        x = self.features(x)
        x = x * torch.sigmoid(self.excite(self.squeeze(x)))
        return self.fc(x.flatten(1))  # <- linear
