# model: Net
# expect: parameters=650+23520 fail; batch-norm ok; dropout warn; global-average-pool pass; linear pass; output pass
# note: Convolutions in a plain list are not registered, but their weights make the prediction; norm and dropout there stay in training mode.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = []
        cin = 1
        for cout in (16, 32, 64):
            self.layers += [nn.Conv2d(cin, cout, 3, stride=2), nn.BatchNorm2d(cout), nn.ReLU(), nn.Dropout(0.1)]
            cin = cout
        self.head = nn.Conv2d(64, 10, 1)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.head(x).mean((2, 3))
