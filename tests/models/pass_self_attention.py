# model: NonLocal
# expect: parameters=1986 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Attention among positions multiplies two results of the input: no weight takes part in the matrix product.
import torch
import torch.nn as nn
import torch.nn.functional as F


class NonLocal(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.q, self.k, self.v = nn.Conv2d(16, 8, 1), nn.Conv2d(16, 8, 1), nn.Conv2d(16, 16, 1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.features(x)
        n, c, h, w = x.shape
        q = self.q(x).view(n, 8, h * w).transpose(1, 2)
        k = self.k(x).view(n, 8, h * w)
        attention = torch.softmax(torch.bmm(q, k) / 8 ** 0.5, dim=-1)
        v = self.v(x).view(n, c, h * w).transpose(1, 2)
        x = x + (attention @ v).transpose(1, 2).reshape(n, c, h, w)
        return self.head(x).mean((2, 3))
