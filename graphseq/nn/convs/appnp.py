"""The propagation by personalised PageRank of Gasteiger et al."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import expected
from ...messages import check_share
from ...spectral import gcn_norm
from ...topology import Topology
from ...topology.inputs import check_count
from ._common import check_features, check_flow, check_weight, merged, structure_of


class APPNP(nn.Module):
    """Propagation by personalised PageRank, without weights to learn:

        H^0 = X,   H^k = (1 - α) Â H^{k-1} + α X,   X' = H^K,   Â = D^{-1/2} (A + I) D^{-1/2}

    Gasteiger, Bojchevski & Günnemann (2019), Predict then propagate: graph neural networks meet personalized PageRank,
    eq. 4. Arguments and call are those of PyG's layer.

    Args:
        K: number of rounds, 0 or more.
        alpha: α, the share of X in each.
        dropout: share of Â's entries that are set to 0 in training, others in each round, as in the paper. (In PyG 2.8
            those of earlier rounds stay 0, and the rest are scaled up again.)
        cached: ignored; for PyG compatibility. What depends only on the structure is always computed once.
        add_self_loops: whether to add I.
        normalize: False uses A with its weights, neither normalised nor with loops.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the structure.

    >>> APPNP(K=2, alpha=0.5)(torch.tensor([[0.0], [8.0]]), torch.tensor([[0, 1], [1, 0]])).flatten()
    tensor([2.0000, 6.0000])
    """

    def __init__(
        self, K: int, alpha: float, dropout: float = 0.0, cached: bool = False, add_self_loops: bool = True,
        normalize: bool = True, *, flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 <= alpha <= 1:
            raise expected("alpha", "a number from 0 to 1", alpha)
        self.K, self.alpha, self.dropout, self.cached = check_count("K", K), alpha, check_share(dropout), cached
        self.add_self_loops, self.normalize, self.flow = add_self_loops, normalize, check_flow(flow)

    def reset_parameters(self) -> None:
        """Do nothing: there are no parameters."""

    def forward(self, x: Tensor, edge_index: Tensor | Topology, edge_weight: Tensor | None = None) -> Tensor:
        """Return X', `[N, F]`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, a topology of N nodes, or a sparse `adj_t` with the weights as entries.
            edge_weight: `[E]`.
        """
        topology, weight = structure_of(edge_index, x, edge_weight, self.flow)
        check_features(x, -1, None)
        check_weight(weight, topology, x)
        if self.normalize:
            topology, weight = gcn_norm(topology, weight, add_self_loops=self.add_self_loops, dtype=x.dtype)
        drops = self.dropout > 0 and self.training
        if drops and weight is None:
            weight = x.new_ones(topology.num_edges)
        h, kept = x, self.alpha * x
        for _ in range(self.K):
            drawn = nn.functional.dropout(weight, self.dropout) if drops and weight is not None else weight
            h = torch.add(kept, merged(topology, h, drawn), alpha=1 - self.alpha)
        return h

    def extra_repr(self) -> str:
        """Return the options."""
        return f"K={self.K}, alpha={self.alpha}"
