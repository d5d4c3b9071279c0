# model: Net
# expect: capture-or: parameters=9112 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail; output pass
# note: A scripted function computes the linear layer.
import torch
import torch.nn as nn
import torch.nn.functional as F


def dense(x, w):
    # type: (Tensor, Tensor) -> Tensor
    return torch.matmul(x, w)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.w = nn.Parameter(torch.randn(784, 10) * 0.02)
        self.dense = torch.jit.trace(dense, (torch.zeros(2, 784), torch.zeros(784, 10)))

    def forward(self, x):
        x = self.features(x)
        return self.dense(x.flatten(1), self.w)
