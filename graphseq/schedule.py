"""Which nodes take a step, and when."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import expected
from .topology.inputs import check_count

__all__ = ["Rounds", "Schedule", "Sweep"]


@dataclass(frozen=True)
class Sweep:
    """Visit a directed acyclic graph once, level by level, each node after all its predecessors.

    On a chain that is a recurrent network, on a tree a recursive one.

    Args:
        reverse: follow the edges backwards: the other direction of a bidirectional network, a pass from roots down.
    """

    reverse: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.reverse, bool):
            raise expected("reverse", "True or False", self.reverse)


@dataclass(frozen=True)
class Rounds:
    """Update all nodes at once, `k` times, each round reading the states of the round before; cycles are welcome.

    Args:
        k: number of rounds, at least 0.

    Raises:
        GraphError: k is not a whole number ≥ 0.
    """

    k: int

    def __post_init__(self) -> None:
        check_count("k", self.k)


Schedule = Sweep | Rounds
