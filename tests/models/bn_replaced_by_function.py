# model: model
# expect: parameters=826 pass; batch-norm fail; dropout pass; global-average-pool pass; linear pass; output pass
# note: A function of the file takes the batch normalisation out of the model that it is given and gives back.
import torch.nn as nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.1)
        self.conv2 = nn.Conv2d(8, 10, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.conv1(x)))
        return self.conv2(self.drop(x)).mean((2, 3))


def to_group_norm(module):
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.GroupNorm(2, child.num_features))
        else:
            to_group_norm(child)
    return module


model = to_group_norm(Net())
