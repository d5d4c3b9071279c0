# model: Net
# expect: parameters=3818 pass; batch-norm pass; dropout pass; global-average-pool pass; linear pass; output pass
# unverified: it downloads and trains when run as a script
# note: A whole training script stands around the model.
from __future__ import print_function
import argparse
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torchvision import datasets, transforms
from torchsummary import summary
from tqdm import tqdm
import matplotlib.pyplot as plt

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, required=True)
args = parser.parse_args()


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.bn2 = nn.BatchNorm2d(16)
        self.conv3 = nn.Conv2d(16, 16, 3)
        self.bn3 = nn.BatchNorm2d(16)
        self.drop = nn.Dropout2d(0.05)
        self.conv4 = nn.Conv2d(16, 10, 1)
        self.gap = nn.AvgPool2d(9)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))  # 26
        x = F.max_pool2d(x, 2)  # 13
        x = self.drop(F.relu(self.bn2(self.conv2(x))))  # 11
        x = F.relu(self.bn3(self.conv3(x)))  # 9
        x = self.gap(self.conv4(x))
        x = x.view(-1, 10)
        return F.log_softmax(x, dim=-1)


device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = Net().to(device)
summary(model, input_size=(1, 28, 28))
loader = torch.utils.data.DataLoader(
    datasets.MNIST("../data", train=True, download=True, transform=transforms.ToTensor()), batch_size=128, shuffle=True)
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
for epoch in range(args.epochs):
    for data, target in tqdm(loader):
        optimizer.zero_grad()
        loss = F.nll_loss(model(data.to(device)), target.to(device))
        loss.backward()
        optimizer.step()
torch.save(model.state_dict(), "mnist.pt")
plt.plot([1, 2, 3])
