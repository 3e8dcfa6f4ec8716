"""The sets of Zaheer et al."""

from __future__ import annotations

from torch import Tensor, nn

from ...messages import Merge
from ...topology import Topology
from ..convs import GraphNetwork
from ._sets import check_models, sets_of


class DeepSets(nn.Module):
    """A function of a set, whatever the order of its members: ``y = ρ(Σ_v φ(x_v))``.

    Zaheer, Kottur, Ravanbakhsh, Póczos, Salakhutdinov & Smola (2017), Deep sets, theorem 2. A block of a graph network
    without edges.

    Args:
        phi: φ, a module of `[N, F]`.
        rho: ρ, a module of `[B, F']`.
        aggregate: "sum", "mean", "max", "min" or a :class:`graphseq.Merge`, in place of the sum.

    Raises:
        GraphError: an invalid argument; features that don't fit the models or the sets.

    >>> import torch
    >>> DeepSets(nn.Linear(3, 4), nn.Linear(4, 2))(torch.zeros(5, 3), torch.tensor([0, 0, 0, 1, 1])).shape
    torch.Size([2, 2])
    """

    def __init__(self, phi: nn.Module, rho: nn.Module, *, aggregate: str | Merge = "sum") -> None:
        super().__init__()
        check_models(phi=phi, rho=rho)
        self.block = GraphNetwork(None, phi, rho, aggregate=aggregate).named("", "phi", "rho")

    def forward(self, x: Tensor, batch: Tensor | Topology | None = None) -> Tensor:
        """Return y, `[B, C]`.

        Args:
            x: `[N, F]`.
            batch: int64 `[N]`, ascending, the set of each member, or a topology; one set by default.
        """
        y = self.block(x, sets_of(x, batch))[2]
        out: Tensor = y
        return out
