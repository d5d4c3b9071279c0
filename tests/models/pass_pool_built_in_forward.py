# model: Net
# expect: parameters=1442 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The pooling module is built in forward with the map's own size.
import torch
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.out = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.features(x)
        x = self.out(x)
        x = nn.AvgPool2d(kernel_size=x.size(2))(x)
        return nn.functional.log_softmax(x.view(-1, 10), dim=1)
