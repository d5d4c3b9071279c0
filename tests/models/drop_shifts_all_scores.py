# model: Net
# expect: parameters=538 pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: What is added to all scores of an image alike changes no prediction and no loss.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 3, stride=2)
        self.bn = nn.BatchNorm2d(24)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(24, 10, 1)

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)))
        scores = self.head(x).mean((2, 3))
        return scores + self.drop(x).mean((1, 2, 3))[:, None]
