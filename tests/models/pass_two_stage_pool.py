# model: Net
# expect: parameters=5520 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Average pooling 2x2, then average of what remains: the whole of an 8x8 map.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 5, bias=False)
        self.bn1 = nn.BatchNorm2d(10)
        self.conv2 = nn.Conv2d(10, 20, 5, bias=False)
        self.bn2 = nn.BatchNorm2d(20)
        self.drop = nn.Dropout(0.1)
        self.conv3 = nn.Conv2d(20, 10, 1)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = self.drop(F.relu(self.bn2(self.conv2(x))))
        x = self.conv3(x)
        x = self.pool(x)
        x = F.adaptive_avg_pool2d(x, (1, 1))
        return F.log_softmax(x.view(-1, 10), dim=1)
