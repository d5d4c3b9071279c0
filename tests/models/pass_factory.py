# model: build_model
# expect: parameters=3818 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A function without arguments builds the model.
from torch import nn


def block(cin, cout):
    return [nn.Conv2d(cin, cout, 3, padding=1), nn.BatchNorm2d(cout), nn.ReLU()]


def build_model():
    layers = block(1, 8) + [nn.MaxPool2d(2)] + block(8, 16) + [nn.MaxPool2d(2), nn.Dropout(0.05)] + block(16, 16)
    layers += [nn.Conv2d(16, 10, 1), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(1)]
    return nn.Sequential(*layers)
