# model: Net
# expect: parameters=1466 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# note: A loss, a scheduler and a block are modules or classes too; the model is the one that no other uses and that takes an image.
import torch
import torch.nn as nn
import torch.nn.functional as F


class ConvBNAct(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(cin, cout, 3, 2, 1), nn.BatchNorm2d(cout)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(ConvBNAct(1, 8), ConvBNAct(8, 16), nn.Dropout(0.1))
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        return self.head(self.body(x)).mean((2, 3))


def train(model, loader, criterion, optimizer):
    model.train()
    for x, y in loader:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()


if __name__ == "__main__":
    net = Net()
    print(sum(p.numel() for p in net.parameters()))
