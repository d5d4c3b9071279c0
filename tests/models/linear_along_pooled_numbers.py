# model: Net
# expect: parameters=512 pass; batch-norm pass; dropout pass; global-average-pool pass; linear fail@linear; output pass
# note: A kernel of 31 over 16 pooled numbers, padded by 15: the eighth result weighs each of them.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Conv1d(1, 10, 31, padding=15)

    def forward(self, x):
        x = self.features(x).mean((2, 3))
        return self.head(x[:, None])[:, :, 7]  # <- linear
