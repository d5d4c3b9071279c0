# model: Net
# expect: parameters=5483 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Strided convolutions, padding='same' elsewhere, PReLU.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, padding="same")
        self.c2 = nn.Conv2d(8, 16, 2, stride=2)
        self.c3 = nn.Conv2d(16, 16, 3, padding="same")
        self.c4 = nn.Conv2d(16, 32, 2, stride=2)
        self.b1, self.b2, self.b3, self.b4 = (nn.BatchNorm2d(c) for c in (8, 16, 16, 32))
        self.act = nn.PReLU()
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(32, 10, 1)

    def forward(self, x):
        for conv, norm in ((self.c1, self.b1), (self.c2, self.b2), (self.c3, self.b3), (self.c4, self.b4)):
            x = self.drop(self.act(norm(conv(x))))
        return self.head(x).mean((2, 3))
