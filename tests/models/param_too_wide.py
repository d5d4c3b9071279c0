# model: Net
# expect: parameters=24778 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: An ordinary network that is too wide.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(64)
        self.drop = nn.Dropout(0.1)
        self.conv3 = nn.Conv2d(64, 10, 3, padding=1)
        self.gap = nn.AvgPool2d(7)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(self.drop(F.relu(self.bn2(self.conv2(x)))), 2)
        return F.log_softmax(self.gap(self.conv3(x)).view(-1, 10), dim=1)
