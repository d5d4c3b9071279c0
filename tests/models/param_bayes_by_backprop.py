# model: Net
# expect: parameters=3082 pass; batch-norm pass; dropout fail; global-average-pool pass; linear pass; output pass
# note: Weights drawn around learned means with learned deviations: both are learned, the noise is not.
import torch
import torch.nn as nn
import torch.nn.functional as F


class BayesConv(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.mean = nn.Parameter(0.1 * torch.randn(cout, cin, 3, 3))
        self.rho = nn.Parameter(torch.full((cout, cin, 3, 3), -5.0))
        self.bias = nn.Parameter(torch.zeros(cout))

    def forward(self, x):
        kernel = self.mean
        if self.training:
            kernel = kernel + F.softplus(self.rho) * torch.randn_like(kernel)
        return F.conv2d(x, kernel, self.bias)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.head = BayesConv(16, 10)

    def forward(self, x):
        return self.head(F.relu(self.bn(self.stem(x)))).mean((2, 3))
