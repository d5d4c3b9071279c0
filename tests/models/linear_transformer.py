# model: TinyViT
# expect: parameters=1290 pass; batch-norm pass; dropout pass; global-average-pool pass; linear fail@linear; output pass
# note: Linear projections on tokens; the mean over all tokens is the global pooling.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Attention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.qkv = nn.Linear(d, 3 * d)
        self.d = d

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)  # <- linear
        return torch.softmax(q @ k.transpose(1, 2) / self.d ** 0.5, -1) @ v


class TinyViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 16, 4, stride=4)
        self.norm = nn.BatchNorm1d(16)
        self.attention = Attention(16)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = self.norm(self.patch(x).flatten(2)).transpose(1, 2)
        x = x + self.drop(self.attention(x))
        return self.head(x.mean(1))  # <- linear
