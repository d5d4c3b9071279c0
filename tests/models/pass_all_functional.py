# model: Net
# expect: parameters=1432 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Every layer is a function on own parameters and buffers.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(8, 1, 3, 3) * 0.1)
        self.w2 = nn.Parameter(torch.randn(16, 8, 3, 3) * 0.1)
        self.w3 = nn.Parameter(torch.randn(10, 16, 1, 1) * 0.1)
        self.gamma1, self.beta1 = nn.Parameter(torch.ones(8)), nn.Parameter(torch.zeros(8))
        self.gamma2, self.beta2 = nn.Parameter(torch.ones(16)), nn.Parameter(torch.zeros(16))
        self.register_buffer("mean1", torch.zeros(8))
        self.register_buffer("var1", torch.ones(8))
        self.register_buffer("mean2", torch.zeros(16))
        self.register_buffer("var2", torch.ones(16))

    def forward(self, x):
        x = F.conv2d(x, self.w1, stride=2)
        x = F.relu(F.batch_norm(x, self.mean1, self.var1, self.gamma1, self.beta1, self.training, 0.1, 1e-5))
        x = F.conv2d(x, self.w2, stride=2)
        x = F.relu(F.batch_norm(x, self.mean2, self.var2, self.gamma2, self.beta2, training=self.training))
        x = F.dropout(x, 0.1, self.training)
        x = F.conv2d(x, self.w3)
        return F.log_softmax(F.adaptive_avg_pool2d(x, 1).flatten(1), dim=1)
