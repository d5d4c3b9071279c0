# model: Net
# expect: parameters=9962 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Registered three times under different names, one block counts once and stays below the limit.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, stride=2)
        self.first = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
        self.second = self.first
        self.third = nn.ModuleList([self.first])
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(32, 10, 1)

    def forward(self, x):
        x = self.first(self.stem(x))
        x = self.drop(self.second(x))
        return self.head(self.third[0](x)).mean((2, 3))
