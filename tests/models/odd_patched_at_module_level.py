# model: model
# expect: parameters=1642 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Layers of a module-level model are replaced after it was built.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.norm = nn.Identity()
        self.drop = nn.Dropout(0.1)
        self.c2 = nn.Conv2d(16, 1000, 3)

    def forward(self, x):
        return self.c2(self.drop(self.norm(self.c1(x)).relu())).mean((2, 3))


model = Net()
model.norm = nn.BatchNorm2d(16)
model.c2 = nn.Conv2d(16, 10, 3)
