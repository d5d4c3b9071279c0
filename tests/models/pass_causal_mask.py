# model: RowAttention
# expect: parameters=19887 pass; batch-norm pass; dropout pass; global-average-pool any; linear any; output pass
# note: A causal mask hides later rows and holds no numbers of its own.
import torch
import torch.nn as nn
import torch.nn.functional as F


class RowAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.1)
        self.body = nn.Conv2d(16, 127, 3, padding=1)
        self.head = nn.Conv2d(127, 10, 1)
        self.register_buffer("earlier", torch.tril(torch.ones(28, 28)))

    def forward(self, x):
        rows = x.squeeze(1)
        weights = rows @ rows.transpose(1, 2) / 28**0.5
        weights = weights.masked_fill(self.earlier == 0, float("-inf")).softmax(-1)
        x = x + (weights @ rows).unsqueeze(1)
        x = self.drop(F.relu(self.norm(self.stem(x))))
        return self.head(F.relu(self.body(x))).mean((2, 3))
