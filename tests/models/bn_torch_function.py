# model: Net
# expect: parameters=1642 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: torch.batch_norm called directly with own buffers.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.g = nn.Parameter(torch.ones(16))
        self.b = nn.Parameter(torch.zeros(16))
        self.register_buffer("rm", torch.zeros(16))
        self.register_buffer("rv", torch.ones(16))
        self.drop = nn.Dropout(0.1)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = self.c1(x)
        x = torch.batch_norm(x, self.g, self.b, self.rm, self.rv, self.training, 0.1, 1e-5, False)
        return self.c2(self.drop(F.relu(x))).mean((2, 3))
