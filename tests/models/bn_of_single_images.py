# model: Net
# expect: parameters=1394 pass; batch-norm fail; dropout pass; global-average-pool pass; linear pass; output pass
# note: All images of a batch are channels of one: each is normalised by its own statistics.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1, bias=False)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(16, 10, 1)

    def normalised(self, x):
        n, c, h, w = x.shape
        return F.batch_norm(x.reshape(1, n * c, h, w), None, None, training=True).view(n, c, h, w)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.normalised(self.conv1(x))), 2)
        x = self.drop(F.relu(self.normalised(self.conv2(x))))
        return self.head(x).mean((2, 3))
