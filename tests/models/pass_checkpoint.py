# model: Net
# expect: parameters=1450 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Activation checkpointing changes memory use, not the model.
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2)
        self.block = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.05))
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.stem(x)
        x = checkpoint(self.block, x, use_reentrant=False)
        return F.log_softmax(self.head(x).mean((2, 3)), dim=1)
