# model: Net
# expect: parameters=8932 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The assignment's own recipe: nine bias-free convolutions and a 7x7 average pool over a 7x7 map.
import torch.nn as nn
import torch.nn.functional as F

dropout_value = 0.05


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.convblock1 = self._block(1, 4, 3)
        self.convblock2 = self._block(4, 4, 3)
        self.convblock3 = self._block(4, 8, 3)
        self.pool1 = nn.MaxPool2d(2, 2)
        self.convblock4 = self._block(8, 8, 1)
        self.convblock5 = self._block(8, 16, 3)
        self.convblock6 = self._block(16, 16, 3)
        self.convblock7 = self._block(16, 16, 3, padding=1)
        self.convblock8 = self._block(16, 16, 3, padding=1)
        self.convblock9 = nn.Conv2d(16, 10, 1, bias=False)
        self.gap = nn.Sequential(nn.AvgPool2d(kernel_size=7))

    def _block(self, cin, cout, k, padding=0):
        return nn.Sequential(
            nn.Conv2d(cin, cout, (k, k), padding=padding, bias=False),
            nn.BatchNorm2d(cout),
            nn.ReLU(),
            nn.Dropout(dropout_value),
        )

    def forward(self, x):
        x = self.convblock1(x)
        x = self.convblock2(x)
        x = self.convblock3(x)
        x = self.pool1(x)
        x = self.convblock4(x)
        x = self.convblock5(x)
        x = self.convblock6(x)
        x = self.convblock7(x)
        x = self.convblock8(x)
        x = self.convblock9(x)
        x = self.gap(x)
        x = x.view(-1, 10)
        return F.log_softmax(x, dim=-1)
