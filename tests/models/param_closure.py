# model: Net
# expect: parameters=1066+20736 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The kernel lives in the closure of a function.
import torch
import torch.nn as nn
import torch.nn.functional as F


def make_layer(c):
    weight = torch.empty(c, c, 3, 3)
    nn.init.kaiming_normal_(weight)

    def layer(x):
        return F.relu(F.conv2d(x, weight, padding=1))

    return layer


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 48, 3, stride=2)
        self.bn = nn.BatchNorm2d(48)
        self.layer = make_layer(48)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(48, 10, 1)

    def forward(self, x):
        x = self.drop(self.layer(F.relu(self.bn(self.stem(x)))))
        return self.head(x).mean((2, 3))
