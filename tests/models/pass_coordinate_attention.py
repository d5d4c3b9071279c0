# model: Net
# expect: parameters=1678 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Gates from means over rows and columns, with convolutions along them.
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
        self.squeeze = nn.Conv2d(16, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.rows, self.columns = nn.Conv2d(4, 16, 1), nn.Conv2d(4, 16, 1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.features(x)
        both = torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).permute(0, 1, 3, 2)], 2)
        rows, columns = F.hardswish(self.norm(self.squeeze(both))).split([7, 7], 2)
        x = x * self.rows(rows).sigmoid() * self.columns(columns.permute(0, 1, 3, 2)).sigmoid()
        return self.head(x).mean((2, 3))
