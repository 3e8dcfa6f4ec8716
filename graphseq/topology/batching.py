"""Join topologies side by side, and take them apart."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Words, expected
from ..ops.library import kept
from .joining import join, part
from .structure import Topology

__all__ = ["batch", "unbatch"]


def batch(topologies: Sequence[Topology]) -> Topology:
    """Join topologies into one, side by side; what all of them have compiled is joined instead of recomputed.

    Its number of levels is the maximum of the members'. :func:`unbatch` gives the members back.

    Args:
        topologies: any number, on one device.

    >>> batch([Topology.chain([2]), Topology.chain([3])])
    Topology(num_nodes=5, num_edges=3, num_graphs=2)
    """
    if isinstance(topologies, Topology):
        raise expected("topologies", "a list of them", topologies)
    members = list(topologies)
    for i, t in enumerate(members):
        if not isinstance(t, Topology):
            raise expected(f"topologies[{i}]", "a Topology", t)
        if t.device != members[0].device:
            wanted = f"a Topology on {members[0].device}, as the first is"
            raise expected(f"topologies[{i}]", wanted, Words(str(t.device)))
    return kept(lambda: join(Topology, members))


def unbatch(topology: Topology) -> list[Topology]:
    """Take a topology apart: into what :func:`batch` joined, otherwise into its graphs.

    >>> unbatch(Topology.chain([2, 3]))
    [Topology(num_nodes=2, num_edges=1, num_graphs=1), Topology(num_nodes=3, num_edges=2, num_graphs=1)]
    """
    if not isinstance(topology, Topology):
        raise expected("topology", "a Topology", topology)
    return kept(lambda: part(Topology, topology))
