# model: Net
# expect: parameters=1738 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The largest channels of each position go on, and the best of two heads has the larger say.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 12, 3, padding=1)
        self.drop = nn.Dropout(0.1)
        self.gate = nn.Conv2d(12, 2, 1)
        self.heads = nn.ModuleList([nn.Conv2d(12, 10, 1), nn.Conv2d(12, 10, 1)])

    def forward(self, x):
        x = F.max_pool2d(self.bn1(self.conv1(x)), 4)
        values, places = x.topk(4, dim=1)
        x = torch.zeros_like(x).scatter(1, places, values)
        x = self.drop(F.relu(self.conv2(x)))
        gates = self.gate(x).mean((2, 3)).softmax(1)
        best = F.one_hot(gates.argsort(1, descending=True)[:, 0], 2)
        scores = torch.stack([head(x).mean((2, 3)) for head in self.heads], 1)
        return (scores * (gates + best).unsqueeze(2)).sum(1)
