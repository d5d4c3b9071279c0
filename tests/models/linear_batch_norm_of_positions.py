# model: Net
# expect: parameters=1540 pass; batch-norm pass; dropout pass; global-average-pool any; linear fail@linear; output pass
# note: With the positions as its channels the normalisation has a weight for each of them, right before their mean.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.norm = nn.BatchNorm1d(49)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.norm(self.features(x).flatten(2).transpose(1, 2))  # <- linear
        return self.head(x.transpose(1, 2).unflatten(2, (7, 7))).mean((2, 3))
