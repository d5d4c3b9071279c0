# model: Net
# expect: parameters=2722 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: view(N, C, -1).mean(-1).
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
        self.conv3 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        batch = x.size(0)
        x = self.features(x)
        x = self.conv3(x)
        x = x.view(batch, 10, -1).mean(-1)
        return F.softmax(x, dim=1)
