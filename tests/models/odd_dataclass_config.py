# model: Net
# expect: parameters=5074 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A config object with defaults builds the network.
import torch
import torch.nn as nn
import torch.nn.functional as F

from dataclasses import dataclass, field


@dataclass
class Config:
    widths: list = field(default_factory=lambda: [8, 16, 24])
    dropout: float = 0.1
    classes: int = 10


class Net(nn.Module):
    def __init__(self, cfg: Config = None):
        super().__init__()
        cfg = cfg or Config()
        blocks, cin = [], 1
        for w in cfg.widths:
            blocks.append(nn.Sequential(nn.Conv2d(cin, w, 3, padding=1), nn.BatchNorm2d(w), nn.ReLU(), nn.MaxPool2d(2)))
            cin = w
        self.blocks = nn.Sequential(*blocks)
        self.drop = nn.Dropout(cfg.dropout)
        self.head = nn.Conv2d(cin, cfg.classes, 1)

    def forward(self, x):
        return self.head(self.drop(self.blocks(x))).mean((2, 3))
