# model: Net
# expect: parameters=1066+20784 fail; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A convolution at module level, outside of the model.
import torch
import torch.nn as nn
import torch.nn.functional as F

backbone = nn.Conv2d(48, 48, 3, padding=1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 48, 3, stride=2)
        self.bn = nn.BatchNorm2d(48)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Conv2d(48, 10, 1)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.stem(x))))
        x = F.relu(backbone(x))
        return self.head(x).mean((2, 3))
