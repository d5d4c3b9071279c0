# model: Net
# expect: parameters=498 pass; batch-norm pass; dropout pass; global-average-pool fail; linear any; output pass
# note: All positions attend to copies of the maximum: what is averaged is the same everywhere but for rounding.
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1))
        self.query = nn.Conv2d(16, 8, 1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.features(x)
        query = self.query(x).flatten(2).transpose(1, 2)
        value = x.amax((2, 3))[:, None].expand(-1, 169, -1)
        x = F.scaled_dot_product_attention(query, query, value)
        return self.head(x.transpose(1, 2).reshape(-1, 16, 13, 13)).mean((2, 3))
