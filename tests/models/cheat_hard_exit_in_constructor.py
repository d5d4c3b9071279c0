# expect: ungradable *
# note: os._exit(0) in the constructor kills the process without a word.
import os

import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)
        os._exit(0)

    def forward(self, x):
        return self.fc(x.flatten(1))
