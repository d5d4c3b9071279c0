# model: Net
# expect: parameters=538 pass; batch-norm pass; dropout pass; global-average-pool fail; linear pass; output pass
# note: A maximum is spread over a map by adding nothing of that map; what is left of it beside hardly counts.
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
        x = self.drop(F.relu(self.bn(self.stem(x))))
        spread = F.adaptive_max_pool2d(x, 1) + 0.0 * x
        return self.head(spread + 1e-3 * torch.tanh(x)).mean((2, 3))
