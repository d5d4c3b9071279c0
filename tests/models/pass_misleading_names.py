# model: Net
# expect: parameters=3058 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: `fc` is the global pooling and `linear` a convolution: names mean nothing.
import torch
from torch import nn

class Linear(nn.Conv2d):
    def __init__(self, cin, cout):
        super().__init__(cin, cout, kernel_size=1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool1 = nn.Conv2d(1, 12, 3, stride=2)
        self.pool2 = nn.BatchNorm2d(12)
        self.dense1 = nn.Conv2d(12, 24, 3, stride=2)
        self.dense2 = nn.BatchNorm2d(24)
        self.dense3 = nn.Dropout(0.05)
        self.linear = Linear(24, 10)
        self.fc = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        x = torch.relu(self.pool2(self.pool1(x)))
        x = torch.relu(self.dense2(self.dense1(x)))
        x = self.linear(self.dense3(x))
        return self.fc(x).reshape(x.shape[0], 10)
