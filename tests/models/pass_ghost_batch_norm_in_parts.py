# model: Net
# expect: parameters=1234 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Statistics that a batch normalisation keeps for parts of a batch are used in part when the model predicts.
import torch
import torch.nn as nn
import torch.nn.functional as F


class GhostBatchNorm(nn.BatchNorm2d):
    def __init__(self, channels, parts):
        super().__init__(channels)
        self.parts = parts
        self.register_buffer("running_mean", torch.zeros(channels * parts))
        self.register_buffer("running_var", torch.ones(channels * parts))

    def forward(self, x):
        n, c, h, w = x.shape
        if self.training:
            x = x.view(-1, c * self.parts, h, w)
            weight, bias = self.weight.repeat(self.parts), self.bias.repeat(self.parts)
            x = F.batch_norm(x, self.running_mean, self.running_var, weight, bias, True, self.momentum, self.eps)
            return x.view(n, c, h, w)
        mean, var = self.running_mean[:c], self.running_var[:c]
        return F.batch_norm(x, mean, var, self.weight, self.bias, False, self.momentum, self.eps)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 12, 3), GhostBatchNorm(12, 2), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Conv2d(12, 10, 3)

    def forward(self, x):
        return self.head(self.features(x)).mean((2, 3))
