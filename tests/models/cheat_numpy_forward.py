# expect: ungradable data-dependent|capture
# note: The dense layer is computed in NumPy, out of sight.
import torch
import torch.nn as nn
import torch.nn.functional as F

import numpy as np


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.w = np.random.RandomState(0).randn(784, 10).astype("float32")

    def forward(self, x):
        x = self.features(x)
        flat = x.flatten(1).detach().numpy()
        return torch.from_numpy(flat @ self.w)
