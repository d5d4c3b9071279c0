# model: Net
# expect: parameters=5226 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Pruning keeps the whole weight and a mask of its own, which is no weight.
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import prune


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.b1 = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(16, 32, 3, stride=2)
        self.b2 = nn.BatchNorm2d(32)
        self.drop = nn.Dropout(0.1)
        self.c3 = nn.Conv2d(32, 10, 1)
        prune.l1_unstructured(self.c2, name="weight", amount=0.5)

    def forward(self, x):
        x = F.relu(self.b1(self.c1(x)))
        x = self.drop(F.relu(self.b2(self.c2(x))))
        return self.c3(x).mean((2, 3))
