"""The engine of a class on an existing cluster of Dask; `distributed` is imported when one is made, and not before."""

from __future__ import annotations

from grader.classroom.cluster.front import Cluster

__all__ = ["Cluster"]
