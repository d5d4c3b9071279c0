# model: Net
# expect: parameters=5242 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Dilated convolutions instead of pooling.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layers = []
        cin = 1
        for cout, dilation in [(8, 1), (12, 2), (16, 3), (16, 4)]:
            layers += [nn.Conv2d(cin, cout, 3, dilation=dilation, bias=False), nn.BatchNorm2d(cout), nn.ELU(), nn.Dropout(0.05)]
            cin = cout
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.head(self.trunk(x))  # 8x8
        return F.log_softmax(F.avg_pool2d(x, 8).flatten(1), dim=1)
