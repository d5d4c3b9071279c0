# expect: ungradable import|no-model|constructor|load
# note: The model is built by a package that is not installed.
import torch.nn as nn
from some_absent_vision_package import create_backbone


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = create_backbone("tiny", channels=1)
        self.head = nn.Conv2d(self.backbone.width, 10, 1)

    def forward(self, x):
        return self.head(self.backbone(x)).mean((2, 3))
