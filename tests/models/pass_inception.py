# model: InceptionNet
# expect: parameters=2998 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Parallel branches of 1x1, 3x3, 5x5 and pooling, concatenated.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Inception(nn.Module):
    def __init__(self, cin, c):
        super().__init__()
        self.b1 = nn.Conv2d(cin, c, 1)
        self.b3 = nn.Conv2d(cin, c, 3, padding=1)
        self.b5 = nn.Sequential(nn.Conv2d(cin, c // 2, 1), nn.ReLU(), nn.Conv2d(c // 2, c, 5, padding=2))
        self.bp = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(cin, c, 1))
        self.bn = nn.BatchNorm2d(4 * c)

    def forward(self, x):
        return F.relu(self.bn(torch.cat((self.b1(x), self.b3(x), self.b5(x), self.bp(x)), 1)))


class InceptionNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.i1, self.i2 = Inception(1, 4), Inception(16, 8)
        self.drop = nn.Dropout2d(p=0.05)
        self.head = nn.Conv2d(32, 10, 1)

    def forward(self, x):
        x = F.max_pool2d(self.i1(x), 2)
        x = F.max_pool2d(self.drop(self.i2(x)), 2)
        return F.adaptive_avg_pool2d(self.head(x), (1, 1)).reshape(-1, 10)
