# model: Net
# expect: parameters=1660+24001 fail@lookup; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A table that the activations choose from holds what the model knows; its 2,400 rows are a number too.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.05), nn.MaxPool2d(2),
            nn.Conv2d(6, 24, 3, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        )  # 24 x 11 x 11
        self.head = nn.Conv2d(24, 10, 1)
        self.register_buffer("table", torch.randn(2400, 10))

    def forward(self, x):
        scores = self.head(self.features(x)).mean((2, 3))
        place = (scores.detach().sigmoid().mean(1) * 2400).long()
        return scores + self.table[place]  # <- lookup
