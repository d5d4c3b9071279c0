"""What every test leaves behind as it found it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

pytest_plugins = ["pytester"]  # runs of pytest within tests, for those of the plugin

os.environ.pop("CI", None)  # tests ask for what a user's terminal would give, wherever they run


@pytest.fixture(autouse=True)
def switches_of_torch() -> Iterator[None]:
    """Training flushes subnormal numbers to zero, a capture chooses how to convolve: other tests must not feel it."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
        sys.modules["torch"].backends.mkldnn.set_flags(True)
