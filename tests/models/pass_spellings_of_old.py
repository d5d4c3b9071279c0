# model: Net
# expect: parameters=1642 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: spellings of old PyTorch: Variable, types named by tensor classes, memory made by new and filled.
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Variable


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, stride=2)
        self.bn = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.c2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = Variable(x).type(torch.FloatTensor)
        if self.training:
            x = x + Variable(x.data.new(x.size()).normal_(0, 0.1))
        x = self.drop(F.relu(self.bn(self.c1(x))))
        if self.training:
            x = x * Variable(torch.cuda.FloatTensor(x.size(0), 1, 1, 1).bernoulli_(0.9))
        return self.c2(x).mean((2, 3))
