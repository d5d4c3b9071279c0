# model: Net
# expect: parameters=1610 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A partial convolution writes into some channels, at all positions of the last map.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
            nn.Conv2d(16, 10, 1),
        )  # 10 x 7 x 7
        self.partial = nn.Conv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, x):
        x = self.features(x).clone()
        x[:, :4] = self.partial(x[:, :4])
        return x.mean((2, 3))
