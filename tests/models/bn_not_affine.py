# model: Net
# expect: parameters=1418 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Batch norm without gamma and beta is batch norm.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, stride=2)
        self.b1 = nn.BatchNorm2d(8, affine=False)
        self.c2 = nn.Conv2d(8, 16, 3, stride=2)
        self.b2 = nn.BatchNorm2d(16, affine=False)
        self.drop = nn.Dropout(0.1)
        self.c3 = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = F.relu(self.b1(self.c1(x)))
        x = self.drop(F.relu(self.b2(self.c2(x))))
        return F.log_softmax(self.c3(x).mean((2, 3)), dim=1)
