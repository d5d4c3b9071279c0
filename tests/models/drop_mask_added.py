# model: Net
# expect: parameters=186 pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: What a dropout makes of ones is added to the activations: noise, which drops none of them.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(8, 10, 1)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        x = x + 1e-3 * self.drop(torch.ones(26, 26))
        return F.log_softmax(self.head(x).mean((2, 3)), dim=1)
