# model: Net
# expect: parameters=9122 pass; batch-norm pass; dropout pass; global-average-pool any; linear fail@linear; output pass
# note: All positions stand along the depth of a map of copies, and the kernel has a weight for each.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.head = nn.Conv3d(16, 10, (49, 1, 1))

    def forward(self, x):
        x = self.features(x).view(-1, 16, 49, 1, 1).expand(-1, -1, -1, 7, 7)
        return self.head(x).mean((2, 3, 4))  # <- linear
