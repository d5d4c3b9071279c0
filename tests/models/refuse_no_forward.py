# expect: ungradable forward|no-model
# note: forward is misspelt.
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def foward(self, x):
        return self.conv(x).mean((2, 3))
