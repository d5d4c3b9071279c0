"""Training where each wait for the device costs more than a step: many steps are issued, then their sums are read."""

from __future__ import annotations
