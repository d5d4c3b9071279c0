# model: Net
# expect: parameters=3342 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: BatchNorm1d on the ten scores.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 5, stride=2)
        self.c2 = nn.Conv2d(12, 10, 5, stride=2)
        self.drop = nn.Dropout2d(0.1)
        self.norm = nn.BatchNorm1d(10)

    def forward(self, x):
        x = self.drop(torch.tanh(self.c1(x)))
        x = F.adaptive_avg_pool2d(self.c2(x), 1).view(-1, 10)
        return self.norm(x).log_softmax(-1)
