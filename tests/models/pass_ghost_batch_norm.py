# model: Net
# expect: parameters=826 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Ghost batch normalisation: each half of the batch is normalised by its own statistics.
import torch
import torch.nn as nn
import torch.nn.functional as F


class GhostBatchNorm(nn.BatchNorm2d):
    def __init__(self, num_features, num_splits, **kw):
        super().__init__(num_features, **kw)
        self.num_splits = num_splits
        self.register_buffer('running_mean', torch.zeros(num_features * num_splits))
        self.register_buffer('running_var', torch.ones(num_features * num_splits))

    def train(self, mode=True):
        if self.training and not mode:
            shape = (self.num_splits, self.num_features)
            self.running_mean = torch.mean(self.running_mean.view(*shape), dim=0).repeat(self.num_splits)
            self.running_var = torch.mean(self.running_var.view(*shape), dim=0).repeat(self.num_splits)
        return super().train(mode)

    def forward(self, input):
        N, C, H, W = input.shape
        if self.training or not self.track_running_stats:
            return F.batch_norm(
                input.view(-1, C * self.num_splits, H, W), self.running_mean, self.running_var,
                self.weight.repeat(self.num_splits), self.bias.repeat(self.num_splits),
                True, self.momentum, self.eps).view(N, C, H, W)
        return F.batch_norm(
            input, self.running_mean[:self.num_features], self.running_var[:self.num_features],
            self.weight, self.bias, False, self.momentum, self.eps)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2)
        self.bn1 = GhostBatchNorm(8, 2)
        self.drop = nn.Dropout(0.1)
        self.conv2 = nn.Conv2d(8, 10, 3)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.conv2(self.drop(x)).mean((2, 3))
