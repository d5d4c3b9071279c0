# model: LeNet
# expect: parameters=15778 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: LeNet's average pools halve the map and never reach its whole.
import torch
import torch.nn as nn
import torch.nn.functional as F


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(1, 6, 5, padding=2), nn.BatchNorm2d(6)
        self.c2, self.b2 = nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16)
        self.pool = nn.AvgPool2d(2, stride=2)
        self.drop = nn.Dropout(0.1)
        self.fc1 = nn.Linear(400, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x):
        x = self.pool(torch.tanh(self.b1(self.c1(x))))
        x = self.pool(torch.tanh(self.b2(self.c2(x))))
        x = self.drop(x.flatten(1))
        x = torch.tanh(self.fc1(x))  # <- linear
        return self.fc2(x)  # <- linear
