# model: Net
# expect: parameters=3514 pass; batch-norm fail; dropout pass; global-average-pool pass; linear pass; output pass
# note: Layer norm over C, H, W is not batch norm.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, stride=2)
        self.ln = nn.LayerNorm([8, 13, 13])
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(8, 10, 3)

    def forward(self, x):
        x = self.drop(F.relu(self.ln(self.c1(x))))
        return self.head(x).mean((2, 3))
