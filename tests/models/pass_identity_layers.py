# model: Net
# expect: parameters=2542 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Identity layers stand where others were switched off.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, use_se=False, act=nn.ReLU):
        super().__init__()
        self.stem = conv_block(1, 12, stride=2)
        self.body = conv_block(12, 20, stride=2)
        self.se = nn.Conv2d(20, 20, 1) if use_se else nn.Identity()
        self.norm = nn.Identity()
        self.act = act()
        self.head = nn.Conv2d(20, 10, 1)
        self.gap = nn.AdaptiveAvgPool2d(output_size=1)
        self.fc = nn.Identity()

    def forward(self, x):
        x = self.body(self.stem(x))  # 20 x 7 x 7
        x = self.act(self.norm(self.se(x)))
        return self.fc(self.gap(self.head(x)).flatten(1))

def conv_block(cin, cout, stride=1):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
        nn.Dropout(0.05),
    )
