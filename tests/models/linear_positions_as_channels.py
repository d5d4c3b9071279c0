# model: Net
# expect: parameters=3042 pass; batch-norm pass; dropout pass; global-average-pool pass; linear fail@linear; output pass
# note: A convolution with the 49 positions as its channels mixes them by a matrix, as the Linear of an MLP-mixer does.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.mix = nn.Conv1d(49, 32, 1)
        self.head = nn.Conv1d(16, 10, 1)

    def forward(self, x):
        x = self.features(x).flatten(2).transpose(1, 2)
        x = F.relu(self.mix(x)).transpose(1, 2)  # <- linear
        return self.head(x).mean(2)
