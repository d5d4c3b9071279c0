# model: Net
# expect: parameters=2190 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Layers in a ModuleDict, walked by name.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    order = ["conv1", "bn1", "relu", "pool", "conv2", "bn2", "relu", "drop", "pool", "conv3", "gap"]

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict({
            "conv1": nn.Conv2d(1, 10, 3),
            "bn1": nn.BatchNorm2d(10),
            "relu": nn.ReLU(),
            "pool": nn.MaxPool2d(2),
            "conv2": nn.Conv2d(10, 20, 3),
            "bn2": nn.BatchNorm2d(20),
            "drop": nn.Dropout(0.1),
            "conv3": nn.Conv2d(20, 10, 1),
            "gap": nn.AdaptiveAvgPool2d(1),
        })

    def forward(self, x):
        for name in self.order:
            x = self.layers[name](x)
        return F.log_softmax(x.view(x.size(0), -1), dim=1)
