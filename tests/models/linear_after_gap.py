# model: Net
# expect: parameters=2542 pass; batch-norm pass; dropout pass; global-average-pool pass; linear fail@linear; output pass
# note: Global pooling is there, a linear layer behind it makes the prediction.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_block(1, 12, stride=2)
        self.body = conv_block(12, 20, stride=2)
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(20, 10)

    def forward(self, x):
        x = self.body(self.stem(x))  # 20 x 7 x 7
        x = self.gap(x).flatten(1)
        return self.fc(x)  # <- linear

def conv_block(cin, cout, stride=1):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
        nn.Dropout(0.05),
    )
