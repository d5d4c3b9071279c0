# model: Net
# expect: parameters=19204 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Many batch norms: their running statistics are no parameters (19,204 with gamma and beta).
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 42, 3, stride=2, bias=False)
        self.mid = nn.Conv2d(42, 42, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(42) for _ in range(30)])
        self.drop = nn.Dropout(0.05)
        self.head = nn.Conv2d(42, 10, 1)

    def forward(self, x):
        x = self.mid(F.relu(self.stem(x)))
        for norm in self.norms:
            x = F.leaky_relu(norm(x))
        return self.head(self.drop(x)).mean((2, 3))
