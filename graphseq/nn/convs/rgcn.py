"""The relational graph convolution."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from ...core import aggregate
from ...errors import Words, expected
from ...messages import Merge
from ...ops.library import is_transformed
from ...topology import Links
from ...topology.inputs import check_range
from ..cells.base import check_sizes
from ._common import bipartite, check_aggr, check_features, check_flow, glorot, merged, pair
from ._relations import Pairs, Relations, related
from .sparse import SparseFeatures

Features = Tensor | SparseFeatures | None


class RGCNConv(nn.Module):
    """Relational graph convolution: neighbours by one of K linear maps each, according to the relation of the edge:

        x_v' = Σ_r (mean_{u→v of relation r} x_u) W_r + x_v W_0 + b,   W_r = Σ_b a_rb V_b  with bases

    Schlichtkrull, Kipf, Bloem, van den Berg, Titov & Welling (2018), Modeling relational data with graph convolutional
    networks, eqs. 2 to 4. Arguments, call and parameters (`weight`, `comp`, `root`, `bias`) are those of PyG's layer.
    All relations are merged at once, where rows are narrower: before the maps or after them.

    Args:
        in_channels: F; or a pair, of senders and receivers; for nodes without features their number.
        out_channels: F'.
        num_relations: K.
        num_bases: the number of bases that the W_r combine; None for weights of their own.
        num_blocks: the number of blocks on the diagonal of each W_r, which are all that is not 0; None for full ones.
        aggr: "mean", "add" (or "sum"), "max", "min", or a :class:`graphseq.Merge`, within each relation.
        root_weight: whether the node's own features are added, by W_0.
        is_sorted: ignored; for PyG compatibility. The order of edges makes no difference.
        bias: whether to add b.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure; relations out of range.

    >>> conv = RGCNConv(3, 4, num_relations=2)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]]), torch.tensor([0, 1])).shape
    torch.Size([2, 4])
    """

    comp: nn.Parameter | None
    root: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self, in_channels: int | tuple[int, int], out_channels: int, num_relations: int, num_bases: int | None = None,
        num_blocks: int | None = None, aggr: str | Merge = "mean", root_weight: bool = True, is_sorted: bool = False,
        bias: bool = True, *, flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        left, right = pair(in_channels)
        check_sizes(in_channels=left, out_channels=out_channels, num_relations=num_relations)
        check_sizes(in_channels=right)
        if num_bases is not None and num_blocks is not None:
            raise expected("num_blocks", "None with `num_bases`", num_blocks)
        self.in_channels, self.out_channels, self.num_relations = in_channels, out_channels, num_relations
        self.num_bases, self.num_blocks, self.is_sorted = num_bases, num_blocks, is_sorted
        self.aggr, self._merge, self.flow = aggr, check_aggr(aggr), check_flow(flow)
        shape: tuple[int, ...] = (num_relations, left, out_channels)
        if num_bases is not None:
            check_sizes(num_bases=num_bases)
            shape = (num_bases, left, out_channels)
        if num_blocks is not None:
            check_sizes(num_blocks=num_blocks)
            if left % num_blocks or out_channels % num_blocks:
                raise expected("num_blocks", f"a divisor of the widths {left} and {out_channels}", num_blocks)
            shape = (num_relations, num_blocks, left // num_blocks, out_channels // num_blocks)
        self.weight = nn.Parameter(torch.empty(shape))
        comp = None if num_bases is None else nn.Parameter(torch.empty(num_relations, num_bases))
        self.register_parameter("comp", comp)
        self.register_parameter("root", nn.Parameter(torch.empty(right, out_channels)) if root_weight else None)
        self.register_parameter("bias", nn.Parameter(torch.empty(out_channels)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        for weight in (self.weight, self.comp, self.root):
            if weight is not None:
                glorot(weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(
        self, x: Features | tuple[Tensor | None, Tensor], edge_index: Tensor | Links, edge_type: Tensor | None = None
    ) -> Tensor:
        """Return x', `[N, F']`; of a pair of sets, of the receivers.

        Args:
            x: `[N, F]`; or int64 `[N]`, the rows of the weights that stand for nodes without features, None for all F
                of them in order; or a pair of such, of the senders and the receivers.
            edge_index: int64 `[2, E]`, a topology of N nodes, or a sparse `adj_t` whose entries are the relations; for
                a pair an edge list or links.
            edge_type: int64 `[E]`, the relation of each edge, from 0 to K - 1.
        """
        both = isinstance(x, tuple)
        weight: Tensor = self.weight
        sent, own = x if isinstance(x, tuple) and len(x) == 2 else (x, x)
        if both and own is None:
            raise expected("x", "a pair whose second part is a tensor", Words("a pair with None"))
        left, right = pair(self.in_channels)
        if sent is None and isinstance(edge_index, Links) and edge_index.num_senders != left:
            raise expected("x", f"features, since there are not {left} nodes but {edge_index.num_senders}", None)
        given: Any = tuple(_placed(t, n, weight) for t, n in ((sent, left), (own, right)))
        edge_index, edge_type = _typed(edge_index, edge_type)
        links, *_ = bipartite(given if both else given[0], edge_index, None, self.flow)
        self._check(sent, left)
        relations = related(links, edge_type, self.num_relations)
        comp, root, bias = self.comp, self.root, self.bias  # once, if they are functions of others
        if comp is not None:
            weight = (comp @ weight.flatten(1)).view(-1, left, self.out_channels)
        out = self._merged(sent, weight, relations)
        if root is not None:
            self._check(own, right)
            return out + _at_nodes(own, root, bias)
        return out if bias is None else out + bias

    def _merged(self, x: Features, weight: Tensor, relations: Relations) -> Tensor:
        """Return ``Σ_r merge_{u→v of relation r} x_u W_r``."""
        is_sum, indexed = self._merge in ("sum", "mean"), _is_index(x)
        if is_sum and (indexed or self.out_channels < x.size(1)):  # type: ignore[union-attr]
            rows = _sent(x, weight, relations)
            return merged(relations.out_of, rows, self._shares(rows, relations))
        if indexed:
            (rows,) = aggregate(relations.between, (_sent(x, weight, relations),), merge=self._merge)
            return merged(relations.home, self._there(rows, relations.between))
        dense = x.dense() if isinstance(x, SparseFeatures) else cast(Tensor, x)
        merge = "sum" if is_sum else self._merge
        rows = merged(relations.into, dense, self._shares(dense, relations), merge)
        return _received(self._there(rows, relations.into), weight, relations)

    def _there(self, rows: Tensor, links: Links) -> Tensor:
        """Return 0 for pairs without edges, where a caller's merge may return something else."""
        if isinstance(self._merge, str):
            return rows
        return rows.masked_fill((links.in_degree == 0).view(-1, *[1] * (rows.dim() - 1)), 0.0)

    def _shares(self, rows: Tensor, relations: Relations) -> Tensor | None:
        return relations.shares(rows.dtype) if self._merge == "mean" else None

    def _check(self, x: Any, wide: int) -> None:
        """Check features, or the numbers of rows that stand for them."""
        if not _is_index(x):
            return check_features(x, wide, self)
        if self.num_blocks is not None:
            raise expected("x", "features, which weights in blocks need", x)
        if x is not None and not (torch.compiler.is_compiling() or is_transformed()):
            check_range("x", x, wide)
        return None

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}, num_relations={self.num_relations}, aggr={self.aggr!r}"


def _is_index(x: Any) -> bool:
    return x is None or (isinstance(x, Tensor) and x.dtype == torch.int64 and x.dim() == 1)


def _placed(x: Any, count: int, like: Tensor) -> Any:
    """Return features of no width for nodes that have none."""
    if x is None:
        return like.new_empty(count, 0)
    return torch.empty(x.size(0), 0, dtype=like.dtype, device=x.device) if _is_index(x) else x


def _typed(edge_index: Any, edge_type: Any) -> tuple[Any, Any]:
    """Return a structure and the relations of its edges, which a sparse matrix has as entries.

    Raises:
        GraphError: relations in addition to those of a matrix, or a matrix that has an edge twice.
    """
    if not isinstance(edge_index, Tensor) or edge_index.layout == torch.strided:
        return edge_index, edge_type
    if edge_type is not None:
        raise expected("edge_type", "None with a sparse matrix, whose entries are the relations", edge_type)
    entries = edge_index.to_sparse_coo() if edge_index.layout != torch.sparse_coo else edge_index
    once = entries.coalesce()
    if once._nnz() != entries._nnz():
        raise expected("edge_index", "an edge list where edges stand twice, as relations don't add up", edge_index)
    types = once.values()
    return edge_index, types.long() if not types.is_floating_point() or torch.equal(types, types.round()) else types


def _sent(x: Features, weight: Tensor, relations: Relations) -> Tensor:
    """Return the senders' features by the map of each pair's relation, `[P, F']`."""
    pairs = relations.sent
    if x is None or (isinstance(x, Tensor) and _is_index(x)):
        if pairs.nodes is None:
            table = weight.transpose(0, 1)  # [F, K, F']
            return (table if x is None else table.index_select(0, x)).reshape(pairs.total, weight.size(-1))
        rows = pairs.nodes if x is None else x.index_select(0, pairs.nodes)
        return weight.flatten(0, 1).index_select(0, pairs.relations() * weight.size(1) + rows)
    if isinstance(x, SparseFeatures) and (pairs.nodes is not None or weight.dim() == 4):
        x = x.dense()
    if pairs.nodes is not None:
        return _by_relation(x.index_select(0, pairs.nodes), pairs, weight)  # type: ignore[union-attr]
    if weight.dim() == 4:
        blocks = x.unflatten(1, weight.shape[1:3])  # type: ignore[union-attr]
        return torch.einsum("nbi,kbio->nkbo", blocks, weight).reshape(pairs.total, weight.size(1) * weight.size(3))
    beside = weight.transpose(0, 1).flatten(1)  # [F, K · F']
    product = x.linear(beside.t()) if isinstance(x, SparseFeatures) else x @ beside
    return product.view(pairs.total, weight.size(2))


def _received(rows: Tensor, weight: Tensor, relations: Relations) -> Tensor:
    """Return the sum of the receivers' pairs, `[P, F]`, by the map of each pair's relation, `[N, F']`."""
    if relations.received.nodes is not None:
        return merged(relations.home, _by_relation(rows, relations.received, weight))
    by_node = rows.view(relations.num_receivers, relations.num_relations * rows.size(1))
    if weight.dim() == 4:
        return torch.einsum("nkbi,kbio->nbo", by_node.unflatten(1, weight.shape[:3]), weight).flatten(1)
    return by_node @ weight.flatten(0, 1)


def _by_relation(rows: Tensor, pairs: Pairs, weight: Tensor) -> Tensor:
    """Return the rows of pairs, which are sorted by relation, by the map of each, `[P, F']`."""
    parts = zip(rows.split(pairs.sizes), weight.unbind(), strict=True)
    if weight.dim() == 3:
        return torch.cat([part @ w for part, w in parts])
    blocks = weight.shape[1:3]
    return torch.cat([torch.einsum("pbi,bio->pbo", part.unflatten(1, blocks), w).flatten(1) for part, w in parts])


def _at_nodes(x: Features, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return features times a weight, or its rows where these stand for nodes, and a bias."""
    if isinstance(x, Tensor) and not _is_index(x):
        return nn.functional.linear(x, weight.t(), bias)
    rows = x.linear(weight.t()) if isinstance(x, SparseFeatures) else weight if x is None else weight.index_select(0, x)
    return rows if bias is None else rows + bias
