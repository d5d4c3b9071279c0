# model: Net
# expect: parameters=1466 pass; batch-norm pass; dropout pass; global-average-pool fail@pool; linear pass; output pass
# note: A 7x7 window on an 11x11 map sees less than half of it.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.05)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = self.drop(F.relu(self.bn2(self.conv2(x))))  # 16 x 11 x 11
        x = F.avg_pool2d(self.head(x), 7)  # <- pool
        x = x.view(-1, 10)
        return F.log_softmax(x, dim=-1)
