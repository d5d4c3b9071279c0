"""The images that models are tried on: alike on every side, and none that a submission could know."""

from __future__ import annotations

import numpy as np
import torch

from grader import digits, pictures
from grader.protocol import Probe
from grader.sandbox import unforeseen

OURS = np.load(digits.FILE)


def test_noise_comes_first_and_digits_after() -> None:
    probe = Probe(7, (2, 3), unforeseen.digits(3))
    noise, found = (pictures.probe_images(probe, place, (1, 28, 28)) for place in (0, 1))
    assert (noise.shape, found.shape) == ((2, 1, 28, 28), (3, 1, 28, 28))
    assert torch.equal(noise, pictures.noise(2, (1, 28, 28), 9))
    background = torch.tensor(-0.1307) / 0.3081
    assert [float(image.min()) for image in found] == [float(background)] * 3


def test_digits_take_the_shape_and_normalisation_of_the_rules() -> None:
    pixels = OURS[3].tobytes()
    probe = Probe(1, (4,), pixels, ((0.5, 0.0, 0.1), (0.5, 1.0, 0.1)))
    found = pictures.digits(probe, (3, 14, 14))
    assert found.shape == (1, 3, 14, 14)
    half = torch.from_numpy(OURS[3][::2, ::2].copy()).float() / 255
    assert torch.allclose(found[0, 1], half)
    assert torch.allclose(found[0, 0], (half - 0.5) / 0.5)
    assert torch.allclose(found[0, 2], (half - 0.1) / 0.1)


def test_without_digits_of_its_own_a_probe_has_those_of_the_package() -> None:
    found = pictures.digits(Probe(1, (4,), normalise=((0.0,), (1.0,))), (1, 28, 28))
    assert torch.equal(found, torch.from_numpy(OURS).unsqueeze(1).float() / 255)


def test_no_digit_is_one_that_could_be_known() -> None:
    known = {image.tobytes() for image in OURS}
    drawn = unforeseen.digits(200)
    images = [drawn[start : start + 784] for start in range(0, len(drawn), 784)]
    assert len(images) == 200
    assert [image for image in images if image in known] == []
    assert len(set(images)) > 150  # a digit may come twice, hardly ever in the same way
    for image in images:
        assert 20 < sum(pixel > 0 for pixel in image) < 500  # and it still is a drawing on an empty ground
        assert image.count(0) > 200


def test_moving_an_image_loses_what_leaves_it() -> None:
    image = bytes(range(256)) * 3 + bytes(16)
    rows = np.frombuffer(image, np.uint8).reshape(28, 28)
    moved = np.frombuffer(unforeseen._moved(image, 2, -1), np.uint8).reshape(28, 28)
    assert (moved[2:, :-1] == rows[:-2, 1:]).all()
    assert (moved[:2] == 0).all()
    assert (moved[:, -1] == 0).all()
    assert unforeseen._moved(image, 0, 0) == image


def test_seeds_differ() -> None:
    seeds = {unforeseen.seed() for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < 2**31 for seed in seeds)
