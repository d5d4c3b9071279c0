# model: Net
# expect: capture-or: parameters=6232 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail; output pass
# note: An LSTM over the rows multiplies with learned matrices.
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
        self.lstm = nn.LSTM(16 * 7, 10, batch_first=True)

    def forward(self, x):
        x = self.features(x)
        rows = x.permute(0, 2, 1, 3).flatten(2)
        out, _ = self.lstm(rows)
        return out[:, -1]
