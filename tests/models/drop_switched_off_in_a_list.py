# model: Net
# expect: parameters=1642 pass; batch-norm pass; dropout fail@drop; global-average-pool pass; linear pass; output pass
# note: the dropout that the file switches off is one of a list of some layers.
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = self.drop(F.relu(self.bn(self.c1(x))))  # <- drop
        return self.c2(x).mean((2, 3))


model = Net()
dropouts = [layer for layer in model.modules() if isinstance(layer, nn.Dropout)]
for layer in dropouts:
    layer.p = 0.0
