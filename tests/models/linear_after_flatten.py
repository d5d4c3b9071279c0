# model: Net
# expect: parameters=9122 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: The classic classifier on the flattened map.
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
        self.fc = nn.Linear(16 * 7 * 7, 10)

    def forward(self, x):
        x = self.features(x)
        x = x.view(-1, 16 * 7 * 7)
        x = self.fc(x)  # <- linear
        return F.log_softmax(x, dim=1)
