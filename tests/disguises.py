"""A model, copies of it in disguise, and copies with changes, as a student would write them."""

from __future__ import annotations

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\n"
ORIGINAL = (
    HEAD
    + '''class Net(nn.Module):
    """My model for session 5."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 11, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(11)
        self.conv2 = nn.Conv2d(11, 13, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(13)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv3 = nn.Conv2d(13, 17, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(17)
        self.conv4 = nn.Conv2d(17, 17, 3)
        self.bn4 = nn.BatchNorm2d(17)
        self.conv5 = nn.Conv2d(17, 10, 1)
        self.drop = nn.Dropout(0.07)
        self.gap = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        x = self.drop(F.relu(self.bn1(self.conv1(x))))
        x = self.drop(F.relu(self.bn2(self.conv2(x))))
        x = self.pool(x)
        x = self.drop(F.relu(self.bn3(self.conv3(x))))
        x = self.pool(x)
        x = F.relu(self.bn4(self.conv4(x)))
        x = self.gap(self.conv5(x))
        x = x.view(-1, 10)
        return F.log_softmax(x, dim=1)
'''
)
RENAMED = (
    ORIGINAL.replace("Net", "DigitClassifier")
    .replace("conv", "layer")
    .replace("bn", "norm")
    .replace("drop", "d")
    .replace("gap", "average")
    .replace("(x", "(images")
    .replace("x =", "images =")
    .replace(", x)", ", images)")
    .replace(" x.view", " images.view")
    .replace("My model for session 5.", "Classify digits. Written by me alone.")
)
REORDERED = (
    HEAD
    + """class Net(nn.Module):
    def forward(self, x):
        x = self.pool(self.second(self.first(x)))
        x = self.pool(self.third(x))
        return self.head(x)

    def head(self, x):
        x = F.relu(self.bn4(self.conv4(x)))
        return F.log_softmax(self.gap(self.conv5(x)).view(-1, 10), dim=1)

    def third(self, x):
        return self.drop(F.relu(self.bn3(self.conv3(x))))

    def second(self, x):
        return self.drop(F.relu(self.bn2(self.conv2(x))))

    def first(self, x):
        return self.drop(F.relu(self.bn1(self.conv1(x))))

    def __init__(self):
        super().__init__()
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.bn4 = nn.BatchNorm2d(17)
        self.bn3 = nn.BatchNorm2d(17)
        self.bn2 = nn.BatchNorm2d(13)
        self.bn1 = nn.BatchNorm2d(11)
        self.conv5 = nn.Conv2d(17, 10, 1)
        self.conv4 = nn.Conv2d(17, 17, 3)
        self.conv3 = nn.Conv2d(13, 17, 3, padding=1)
        self.conv2 = nn.Conv2d(11, 13, 3, padding=1)
        self.conv1 = nn.Conv2d(1, 11, 3, padding=1)
        self.drop = nn.Dropout(0.07)
        self.pool = nn.MaxPool2d(2, 2)
"""
)
FUNCTIONAL = (
    HEAD
    + """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 11, (3, 3), padding="same")
        self.an = nn.BatchNorm2d(11)
        self.b = nn.Conv2d(11, 13, kernel_size=3, padding=(1, 1))
        self.bn = nn.BatchNorm2d(13)
        self.c = nn.Conv2d(13, 17, kernel_size=3, padding=1)
        self.cn = nn.BatchNorm2d(17)
        self.d = nn.Conv2d(17, 17, 3)
        self.dn = nn.BatchNorm2d(17)
        self.e = nn.Conv2d(17, 10, 1)

    def forward(self, x):
        x = F.dropout(self.an(self.a(x)).relu(), 0.07, self.training)
        x = F.dropout(torch.relu(self.bn(self.b(x))), p=0.07, training=self.training)
        x = F.max_pool2d(x, 2)
        x = F.dropout(torch.relu_(self.cn(self.c(x))), p=0.07, training=self.training)
        x = torch.max_pool2d(x, (2, 2))
        x = self.dn(self.d(x)).relu_().contiguous()
        return self.e(x).mean(dim=(2, 3)).log_softmax(-1)
"""
)
SEQUENTIAL = (
    HEAD
    + """def block(i, o, padding=1):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=padding), nn.BatchNorm2d(o), nn.ReLU())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            block(1, 11), nn.Dropout(0.07), block(11, 13), nn.Dropout(0.07), nn.MaxPool2d(2),
            block(13, 17), nn.Dropout(0.07), nn.MaxPool2d(2), block(17, 17, 0), nn.Conv2d(17, 10, 1),
            nn.AvgPool2d(5), nn.Flatten(), nn.LogSoftmax(dim=1),
        )

    def forward(self, x):
        return self.layers(x)
"""
)
DEAD = ORIGINAL.replace(
    "        self.gap =",
    "        self.fc = nn.Linear(40, 10)\n        self.extra = nn.Conv2d(11, 24, 3)\n        self.gap =",
).replace(
    "    def forward(self, x):\n",
    "    def forward(self, x):\n        unused = self.extra(torch.zeros(4, 11, 8, 8)).relu() + 1\n",
)
ONE_CHANNEL = ORIGINAL.replace("13", "14")
ACTIVATION = ORIGINAL.replace("F.relu", "F.gelu")
INSERTED = ORIGINAL.replace(
    "        x = F.relu(self.bn4(self.conv4(x)))", "        x = self.drop(F.relu(self.bn4(self.conv4(x))))"
)
RATE = ORIGINAL.replace("0.07", "0.1")
NO_BIAS = ORIGINAL.replace(", padding=1)", ", padding=1, bias=False)")
LAYER_MORE = ORIGINAL.replace(
    "        self.conv5 =", "        self.conv6 = nn.Conv2d(17, 17, 1)\n        self.conv5 ="
).replace("self.gap(self.conv5(x))", "self.gap(self.conv5(F.relu(self.conv6(x))))")
ALL_CHANNELS = ORIGINAL.replace("11", "12").replace("13", "14").replace("17", "18")
ACT_CHANNEL = ONE_CHANNEL.replace("F.relu", "F.silu").replace("0.07", "0.05")

DISGUISES = {
    "renamed": RENAMED,
    "reordered": REORDERED,
    "functional spellings": FUNCTIONAL,
    "nn.Sequential": SEQUENTIAL,
    "dead code": DEAD,
}
CHANGED = {
    "a dropout more": INSERTED,
    "another activation": ACTIVATION,
    "another dropout rate": RATE,
    "no biases": NO_BIAS,
    "a layer more": LAYER_MORE,
    "another width": ONE_CHANNEL,
    "another width, activation and rate": ACT_CHANNEL,
    "all widths": ALL_CHANNELS,
}
