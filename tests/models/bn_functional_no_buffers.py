# model: Net
# expect: parameters=1610 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A functional batch norm with batch statistics in both modes and no buffers at all.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.drop = nn.Dropout(0.1)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = F.batch_norm(self.c1(x), None, None, training=True)
        return self.c2(self.drop(F.relu(x))).mean((2, 3))
