# model: DenseNetish
# expect: parameters=8938 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Each layer reads all earlier maps.
import torch
import torch.nn as nn
import torch.nn.functional as F


class DenseLayer(nn.Module):
    def __init__(self, cin, growth):
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(cin), nn.Conv2d(cin, growth, 3, padding=1, bias=False)

    def forward(self, x):
        new = F.dropout(self.conv(F.relu(self.bn(x))), p=0.05, training=self.training)
        return torch.cat([x, new], 1)


class DenseNetish(nn.Module):
    def __init__(self, growth=8):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2, padding=1)
        self.dense = nn.Sequential(*[DenseLayer(16 + i * growth, growth) for i in range(4)])
        self.head = nn.Conv2d(16 + 4 * growth, 10, 1)

    def forward(self, x):
        x = self.head(self.dense(self.stem(x)))
        return F.log_softmax(x.mean(3).mean(2), dim=1)
