# expect: ungradable *
# note: sys.exit(0) in the constructor: an exit code of zero means nothing.
import sys

import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)
        print("all checks passed")
        sys.exit(0)

    def forward(self, x):
        return self.fc(x.flatten(1))
