# model: Net
# expect: parameters=3232 pass; batch-norm pass; dropout pass; global-average-pool pass; linear fail@linear; output pass
# note: The mean of an instance normalisation is its shift: a learned matrix that no image changes.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1))
        self.mix = nn.Conv2d(16, 160, 1)
        self.norm = nn.InstanceNorm2d(160, affine=True)
        nn.init.normal_(self.norm.bias)

    def forward(self, x):
        x = self.features(x)
        weights = self.norm(self.mix(x)).mean((2, 3)).view(-1, 10, 16)
        return (x.mean((2, 3))[:, None] * weights).sum(-1)  # <- linear
