# model: Net
# expect: parameters=1274 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Grids of coordinates as torch.meshgrid returns them: a row stands in memory once.
import torch
import torch.nn as nn
import torch.nn.functional as F

ROWS, _ = torch.meshgrid(torch.linspace(0, 1, 28), torch.linspace(0, 1, 28), indexing="ij")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        rows, columns = torch.meshgrid(torch.linspace(-1, 1, 28), torch.linspace(-1, 1, 28), indexing="ij")
        self.register_buffer("rows", rows)
        self.columns = columns
        self.stem = nn.Conv2d(4, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(16, 10, 2)

    def forward(self, x):
        grids = torch.stack([self.rows, self.columns, ROWS])[None].expand(len(x), -1, -1, -1)
        x = self.drop(F.relu(self.bn(self.stem(torch.cat([x, grids], 1)))))
        return self.head(x).mean((2, 3))
