# expect: ungradable *
# note: os._exit(0) in forward.
import os

import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        os._exit(0)
