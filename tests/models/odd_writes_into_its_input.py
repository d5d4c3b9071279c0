# model: Net
# expect: parameters=826 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The input is normalised in place.
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.1)
        self.conv2 = nn.Conv2d(8, 10, 3)

    def forward(self, x):
        x.sub_(0.1).div_(0.5)
        x = F.relu(self.bn1(self.conv1(x)))
        return self.conv2(self.drop(x)).mean((2, 3))
