# model: Net
# expect: parameters=7362 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Layers in a ModuleList, walked by a loop.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self, widths=(1, 8, 16, 16, 24)):
        super().__init__()
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleList()
        for cin, cout in zip(widths, widths[1:]):
            self.convs.append(nn.Conv2d(cin, cout, 3, padding=1, bias=False))
            self.norms.append(nn.BatchNorm2d(cout))
        self.drop = nn.Dropout(0.08)
        self.head = nn.Conv2d(widths[-1], 10, 1)

    def forward(self, x):
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            x = self.drop(F.relu(norm(conv(x))))
            if i % 2 == 1:
                x = F.max_pool2d(x, 2)
        return self.head(x).mean(dim=[2, 3])
