# model: Net
# expect: parameters=1378+23328 fail@use; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: What a batch normalisation keeps is free where it uses it, not as the kernel of a convolution.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 24, 3, stride=2)
        self.bn = nn.BatchNorm2d(24)
        self.drop = nn.Dropout(0.1)
        self.keeper = nn.BatchNorm1d(108 * 24 * 9, affine=False)
        self.keeper.running_mean.normal_()
        self.head = nn.Conv2d(108, 10, 1)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.stem(x))))
        kernel = self.keeper.running_mean.clone()
        self.keeper(kernel.expand(2, -1))
        x = F.relu(F.conv2d(x, kernel.view(108, 24, 3, 3), padding=1))  # <- use
        return self.head(x).mean((2, 3))
