"""What a run of a graph costs, known before it is made."""

from grader.cost.meter import Limits, Meter, TooDear, estimate

__all__ = ["Limits", "Meter", "TooDear", "estimate"]
