# model: Net
# expect: parameters=9122 pass; batch-norm pass; dropout pass; global-average-pool any; linear fail@linear; output pass
# note: The convolution sees all 49 positions at once; that it finds five copies of them beside each other leaves it a matrix.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.head = nn.Conv2d(16, 10, (49, 1))

    def forward(self, x):
        x = self.features(x).flatten(2).unsqueeze(3).expand(-1, -1, -1, 5)
        return self.head(x).mean((2, 3))  # <- linear
