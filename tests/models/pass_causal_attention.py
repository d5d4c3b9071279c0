# model: Net
# expect: parameters=4822 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A causal mask is only added to what attention compares: it is neither a linear layer nor weights.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, bias=False), nn.BatchNorm2d(12), nn.ReLU(), nn.Dropout(0.05), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        )  # 24 x 11 x 11
        self.queries = nn.Conv2d(24, 24, 1)
        self.keys = nn.Conv2d(24, 24, 1)
        self.values = nn.Conv2d(24, 24, 1)
        self.head = nn.Conv2d(24, 10, 1)
        self.register_buffer("mask", torch.ones(121, 121).tril().bool())

    def forward(self, x):
        x = self.features(x)
        q, k, v = [layer(x).flatten(2).transpose(1, 2) for layer in (self.queries, self.keys, self.values)]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        return self.head(x + y.transpose(1, 2).reshape(x.shape)).mean((2, 3))
