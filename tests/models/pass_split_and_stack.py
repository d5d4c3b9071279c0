# model: Net
# expect: parameters=2542 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Two views of the image share a trunk and are averaged.
import torch
import torch.nn as nn
import torch.nn.functional as F


def conv_block(cin, cout, stride=1):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
        nn.Dropout(0.05),
    )


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_block(1, 12, stride=2)
        self.body = conv_block(12, 20, stride=2)
        self.head = nn.Conv2d(20, 10, 1)

    def one(self, x):
        x = self.body(self.stem(x))  # 20 x 7 x 7
        return F.adaptive_avg_pool2d(self.head(x), 1).flatten(1)

    def forward(self, x):
        return torch.stack([self.one(x), self.one(x.flip(-1))], dim=0).mean(0)
