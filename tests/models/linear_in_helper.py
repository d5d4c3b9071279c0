# model: Net
# expect: parameters=1432 pass; batch-norm pass; dropout pass; global-average-pool pass; linear fail@linear; output pass
# note: A helper function hides the matrix product.
import torch
import torch.nn as nn
import torch.nn.functional as F


def classify(features, prototypes):
    features = F.normalize(features, dim=1)
    return features.matmul(F.normalize(prototypes, dim=1).T)  # <- linear


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.prototypes = nn.Parameter(torch.randn(10, 16))

    def forward(self, x):
        x = self.features(x)
        return 10 * classify(x.mean((2, 3)), self.prototypes)
