# model: Net
# expect: parameters=2542 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Mean over rows after mean over columns is the mean over the map.
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
        self.to_classes = nn.Conv2d(20, 10, 1)

    def forward(self, x):
        x = self.body(self.stem(x))  # 20 x 7 x 7
        x = self.to_classes(x)
        return x.mean(-1).mean(-1).log_softmax(dim=1)
