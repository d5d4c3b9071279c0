# model: ResNetTiny
# expect: parameters=11514 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Basic residual blocks with projections.
import torch
import torch.nn as nn
import torch.nn.functional as F


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.drop = nn.Dropout(0.05)
        self.shortcut = nn.Sequential()
        if stride != 1 or cin != cout:
            self.shortcut = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(self.drop(out)))
        out += self.shortcut(x)
        return F.relu(out)


class ResNetTiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = BasicBlock(1, 8)
        self.layer2 = BasicBlock(8, 16, 2)
        self.layer3 = BasicBlock(16, 20, 2)
        self.conv = nn.Conv2d(20, 10, 1)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(x)))
        x = F.avg_pool2d(self.conv(x), 7)
        return x.view(x.size(0), -1)
