# model: Net
# expect: parameters=5866 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Maxout by view and max, average pools inside the body, a global one at the end.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Maxout(nn.Module):
    def __init__(self, cin, cout, k=2):
        super().__init__()
        self.k = k
        self.conv = nn.Conv2d(cin, cout * k, 3, padding=1)
        self.bn = nn.BatchNorm2d(cout * k)

    def forward(self, x):
        x = self.bn(self.conv(x))
        n, c, h, w = x.shape
        return x.view(n, c // self.k, self.k, h, w).max(dim=2)[0]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.m1, self.m2 = Maxout(1, 12), Maxout(12, 24)
        self.blur = nn.AvgPool2d(3, stride=2, padding=1)
        self.drop = nn.Dropout(0.05)
        self.head = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = self.blur(self.m1(x))
        x = self.blur(self.drop(self.m2(x)))
        return F.avg_pool2d(self.head(x), (x.size(-2), x.size(-1))).view(-1, 10)
