"""Places with channels of their own, and copies under one kernel, leave `linear` undecided; masks for a map do not."""

from __future__ import annotations

import pytest
from support import HEADER, checked

MODEL = (
    HEADER
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 4, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.1))
        self.copies = nn.Conv2d(4, 196, 1)
        self.norm = nn.BatchNorm2d(196)
        self.tiles = nn.Conv2d(4, 16, 7, 7)
        self.head = nn.LazyConv2d(10, 1)

    def forward(self, x):
        x = self.body(x)  # 4 × 7 × 7
        place = torch.arange(49)
        same = place[:, None, None] == place.view(7, 7)
        FORWARD
        return F.leaky_relu(self.head(x)).mean((2, 3))
"""
)

PLACES = {
    "a factor": "x = (x[:, :, None] * same).flatten(1, 2)",
    "all but one place": "x = (x[:, :, None] * ~same).flatten(1, 2)",
    "chosen": "x = torch.where(same, x[:, :, None], torch.zeros(())).flatten(1, 2)",
    "filled": "x = x[:, :, None].masked_fill(~same, 0.0).flatten(1, 2)",
    "written over": "x = x.repeat_interleave(49, 1); x[:, (~same).repeat(4, 1, 1)] = 0",
    "one after the other": "x = torch.cat([x * (place.view(7, 7) == one) for one in range(49)], 1)",
    "all but one, one after the other": "x = torch.cat([x * (place.view(7, 7) != one) for one in range(49)], 1)",
    "rows apart": "x = torch.cat([F.pad(x[:, :, i : i + 1], (0, 0, i, 6 - i)) for i in range(7)], 1)",
    "a triangle": "x = x.flatten(2)[:, :, None].expand(-1, -1, 49, -1).tril().flatten(1, 2).unflatten(2, (7, 7))",
    "waves": (
        "wave = torch.cos(torch.arange(5)[:, None] * (torch.arange(7) + 0.5) * torch.pi / 7); "
        "x = (x[:, :, None] * (wave[:, None, :, None] * wave[None, :, None]).flatten(0, 1)).flatten(1, 2)"
    ),
    "einsum": "x = torch.einsum('nchw,khw->nckhw', x, same.float()).flatten(1, 2)",
    "copies by a convolution": "x = self.copies(x) * same.repeat(4, 1, 1)",
    "mirrored": "x = self.tiles(torch.cat([x, x.flip(3)], 3))",
    "paler copies": "x = self.tiles(torch.cat([x, x / 2], 2))",
    "normalised later": "x = F.relu(self.norm((x[:, :, None] * same).flatten(1, 2)))",
}

SHAPED = {
    "a vignette": "x = x * torch.exp(-torch.linspace(-1, 1, 7) ** 2)",
    "a chessboard": "x = x * ((torch.arange(7)[:, None] + torch.arange(7)) % 2)",
    "coordinates": "x = torch.cat([x, torch.linspace(-1, 1, 7).expand(len(x), 1, 7, 7)], 1)",
    "neighbours": (
        "y = F.pad(x, (1, 1, 1, 1)); "
        "x = torch.cat([y[:, :, i : i + 7, j : j + 7] for i in range(3) for j in range(3)], 1)"
    ),
    "weighed neighbours": (
        "x = (F.unfold(x, 3, padding=1).view(-1, 4, 9, 49) * torch.arange(9.0)[:, None]).flatten(1, 2)"
        ".unflatten(2, (7, 7))"
    ),
    "copies": "x = x.repeat(1, 8, 1, 1) * torch.ones(32, 7, 7)",
    "a larger map": "x = self.tiles(F.interpolate(x, scale_factor=4))",
    "wrapped round": "x = self.copies(torch.cat([x[:, :, -1:], x, x[:, :, :1]], 2))",
    "one mask of many": "x = x * (torch.arange(4)[:, None, None] != 1)",
    "masked attention": (
        "t = x.flatten(2).transpose(1, 2); "
        "a = (t @ t.transpose(1, 2)).masked_fill(torch.ones(49, 49).tril() == 0, -1e4); "
        "x = (a.softmax(-1) @ t).transpose(1, 2).unflatten(2, (7, 7))"
    ),
}


@pytest.mark.parametrize("forward", PLACES.values(), ids=PLACES)
def test_places_in_channels_of_their_own_are_undecided(forward: str) -> None:
    result = checked(MODEL.replace("FORWARD", forward), "linear")
    assert result.status == "error"
    assert [(found.level, found.message) for found in result.findings] == [
        (
            "warning",
            "conv2d may weigh each position of a map by itself: it gets copies, or a channel for each place",
        )
    ]


@pytest.mark.parametrize("forward", SHAPED.values(), ids=SHAPED)
def test_fixed_numbers_that_shape_a_map_are_no_weights_for_places(forward: str) -> None:
    assert checked(MODEL.replace("FORWARD", forward), "linear").status == "pass"
