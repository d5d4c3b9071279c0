# model: Net
# expect: capture-or: parameters=9122 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail; output pass
# note: A tensor subclass handles the torch functions itself.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Quiet(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        x = self.features(x)
        x = x.flatten(1).as_subclass(Quiet)
        return self.fc(x).as_subclass(torch.Tensor)
