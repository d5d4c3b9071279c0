# model: Net
# expect: parameters=5490 pass; batch-norm fail; dropout pass; global-average-pool pass; linear pass; output pass
# note: There is no normalisation at all.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.drop = nn.Dropout2d(0.25)
        self.conv3 = nn.Conv2d(20, 10, 1)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.drop(self.conv2(x)), 2))
        x = F.avg_pool2d(self.conv3(x), 4)
        return F.log_softmax(x.view(-1, 10), dim=1)
