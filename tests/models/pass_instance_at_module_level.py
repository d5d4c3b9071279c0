# model: model
# expect: parameters=2714 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The model is a module-level nn.Sequential, no class at all.
import torch.nn as nn

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Dropout(0.1),
    nn.Conv2d(16, 10, 1),
    nn.AvgPool2d(7),
    nn.Flatten(),
)
