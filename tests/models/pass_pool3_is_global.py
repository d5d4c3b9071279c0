# model: Net
# expect: parameters=2746 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The third pool is the global one.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.pool1 = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(16)
        self.pool2 = nn.MaxPool2d(2, 2)
        self.conv3 = nn.Conv2d(16, 10, 3, padding=1)
        self.dropout = nn.Dropout(0.1)
        self.pool3 = nn.AvgPool2d(7, 7)

    def forward(self, x):
        x = self.pool1(F.relu(self.bn1(self.conv1(x))))
        x = self.pool2(F.relu(self.bn2(self.conv2(x))))
        x = self.pool3(self.dropout(self.conv3(x)))
        x = x.view(-1, 10)
        return F.log_softmax(x, dim=1)
