# model: Net
# expect: parameters=9122 pass; batch-norm pass; dropout pass; global-average-pool fail; linear fail@linear; output pass
# note: A 7x7 convolution over a 7x7 map is a linear layer over all positions.
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
        self.conv_out = nn.Conv2d(16, 10, kernel_size=7)

    def forward(self, x):
        x = self.features(x)
        x = self.conv_out(x)  # <- linear
        return F.log_softmax(x.view(-1, 10), dim=1)
