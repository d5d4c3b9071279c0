# model: Net
# expect: parameters=554+21600 fail@use; batch-norm pass; dropout pass; global-average-pool pass; linear any; output pass
# note: Places in a few learned numbers that look drawn are prototypes, unlike those of a bias for each distance.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 3, stride=2)
        self.bn = nn.BatchNorm2d(24)
        self.drop = nn.Dropout(0.1)
        self.palette = nn.Parameter(torch.linspace(-1, 1, 16))
        self.register_buffer("places", torch.randint(0, 16, (10, 90, 24)))
        self.head = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.stem(x))))
        x = x.mean((2, 3))
        distances = (x[:, None, None] - self.palette[self.places]).abs().mean(3)  # <- use
        return self.head(x[:, :, None, None]).flatten(1) - distances.amin(2)
