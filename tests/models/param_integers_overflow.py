# model: Net
# expect: parameters=2699+32400 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Doubled integers lose their highest bits: each holds four weights.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 3, stride=2)
        self.bn = nn.BatchNorm2d(24)
        self.drop = nn.Dropout(0.1)
        self.register_buffer("seed", torch.randint(-(2**31), 2**31 - 1, (50, 18, 3, 3), dtype=torch.int32))
        self.scale = nn.Parameter(torch.tensor(2.0**-31))
        self.norm = nn.BatchNorm2d(200)
        self.head = nn.Conv2d(200, 10, 1)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.stem(x))))
        x, numbers, maps = x[:, :18], self.seed, []
        for _ in range(4):
            maps.append(F.conv2d(x, numbers * self.scale))
            for _ in range(8):
                numbers = numbers + numbers
        x = F.relu(self.norm(torch.cat(maps, 1)))
        return self.head(x).mean((2, 3))
