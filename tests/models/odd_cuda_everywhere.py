# model: Net
# expect: parameters=1442 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# unverified: there is no CUDA on every machine
# note: Devices are named, and must do no harm.
import torch
import torch.nn as nn
import torch.nn.functional as F

device = torch.device("cuda")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1), nn.MaxPool2d(2),
        )  # 16 x 7 x 7
        self.head = nn.Conv2d(16, 10, 1).to(device)
        self.cuda()

    def forward(self, x):
        x = x.cuda()
        noise = torch.zeros(x.size(0), 1, 28, 28, device="cuda")
        x = x + noise
        x = self.features(x)
        return self.head(x).mean((2, 3))
