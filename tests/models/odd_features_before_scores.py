# model: Net
# expect: parameters=1442 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output fail
# note: The scores stand second in a dict; what is returned before them are maps.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.features(x)
        return {"features": x, "scores": self.head(x).mean((2, 3))}
