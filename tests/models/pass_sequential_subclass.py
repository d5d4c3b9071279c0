# model: Net
# expect: parameters=5178 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: The model is a subclass of nn.Sequential and has no forward of its own.
from collections import OrderedDict

import torch.nn as nn


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(OrderedDict([
            ("conv1", nn.Conv2d(1, 16, 3, stride=2, bias=False)),
            ("bn1", nn.BatchNorm2d(16)),
            ("act1", nn.LeakyReLU(0.1)),
            ("conv2", nn.Conv2d(16, 32, 3, stride=2, bias=False)),
            ("bn2", nn.BatchNorm2d(32)),
            ("act2", nn.LeakyReLU(0.1)),
            ("drop", nn.Dropout2d(0.1)),
            ("conv3", nn.Conv2d(32, 10, 1)),
            ("gap", nn.AdaptiveAvgPool2d(1)),
            ("flat", nn.Flatten()),
        ]))
