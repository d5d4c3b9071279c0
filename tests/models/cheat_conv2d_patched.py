# model: Net
# expect: capture-or: parameters=9122 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail; output pass
# note: F.conv2d is replaced by a function that calls F.linear.
import torch
import torch.nn as nn
import torch.nn.functional as F

_original = F.conv2d


def conv2d(x, weight, bias=None, *args, **kwargs):
    if weight.shape[1] == 784:
        return F.linear(x.flatten(1), weight.flatten(1), bias)[:, :, None, None]
    return _original(x, weight, bias, *args, **kwargs)


F.conv2d = torch.conv2d = torch.nn.functional.conv2d = conv2d


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.head = nn.Conv2d(784, 10, 1)

    def forward(self, x):
        x = self.features(x)
        return self.head(x.reshape(-1, 784, 1, 1)).flatten(1)
