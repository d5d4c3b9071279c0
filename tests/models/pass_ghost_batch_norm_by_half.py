# model: Net
# expect: parameters=826 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Each half of the batch is normalised by itself; the sizes of the view are computed from the batch.
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.1)
        self.conv2 = nn.Conv2d(8, 10, 3)

    def halves(self, x):
        n, c, h, w = x.shape
        if not self.training:
            return self.bn1(x)
        x = x.view(n // 2, c * 2, h, w)
        weight, bias = self.bn1.weight.repeat(2), self.bn1.bias.repeat(2)
        return F.batch_norm(x, None, None, weight, bias, True).view(n, c, h, w)

    def forward(self, x):
        x = F.relu(self.halves(self.conv1(x)))
        return self.conv2(self.drop(x)).mean((2, 3))
