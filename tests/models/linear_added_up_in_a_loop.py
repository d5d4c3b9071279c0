# model: Net
# expect: parameters=352 pass; batch-norm pass; dropout pass; global-average-pool pass; linear fail@linear; output pass
# note: Products with a row of weights for each channel, added up one after the other.
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1))
        self.rows = nn.ParameterList([nn.Parameter(torch.randn(10)) for _ in range(16)])

    def forward(self, x):
        x = self.features(x).mean((2, 3))
        scores = torch.zeros(x.size(0), 10)
        for channel, row in enumerate(self.rows):
            scores += x[:, channel : channel + 1].expand(-1, 10) * row  # <- linear
        return scores
