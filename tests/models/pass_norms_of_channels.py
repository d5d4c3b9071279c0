# model: Net
# expect: parameters=1628 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: Normalisations with weights for channels, and one for columns that an activation bends, weigh no position.
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.columns = nn.LayerNorm(7)
        self.instance = nn.InstanceNorm2d(16, affine=True)
        self.last = nn.LayerNorm(16)
        self.tokens = nn.BatchNorm1d(16)
        self.group = nn.GroupNorm(2, 10)
        self.head = nn.Conv1d(16, 8, 1)
        self.out = nn.Conv1d(8, 10, 1)

    def forward(self, x):
        x = self.instance(F.relu(self.columns(self.features(x))))
        x = self.last(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.out(self.head(self.tokens(x.flatten(2))))
        return self.group(x).mean(2)
