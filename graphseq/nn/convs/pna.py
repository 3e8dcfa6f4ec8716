"""Principal neighbourhood aggregation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear as affine

from ...core import aggregate
from ...errors import Words, expected
from ...messages import Merge, State, find_merge
from ...ops.segments import Segments
from ...topology import Topology
from ..cells.base import check_sizes
from ._attend import check_edges
from ._common import check_aggr, check_features, check_flow, first_map, linear, reset, structure_of

AGGREGATORS = ("sum", "mean", "min", "max", "var", "std")
_SCALERS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {  # of degree, mean degree, mean log (degree + 1)
    "identity": lambda d, lin, log: torch.ones_like(d),
    "amplification": lambda d, lin, log: (d + 1).log() / log,
    "attenuation": lambda d, lin, log: log / (d.clamp(min=1) + 1).log(),
    "linear": lambda d, lin, log: d / lin,
    "inverse_linear": lambda d, lin, log: lin / d.clamp(min=1),
}


class PNAConv(nn.Module):
    """Principal neighbourhood aggregation: several merges of the messages, each scaled by several functions of the
    degree d_v, in T towers side by side:

        m_v = scalers(d_v) ⊗ merges_{u→v} pre([x_v, x_u, W e_uv + c]),   x_v' = L [post([x_v, m_v]) of each tower]

    Corso, Cavalleri, Beaini, Liò & Veličković (2020), Principal neighbourhood aggregation for graph nets, eqs. 5 to 8.
    Arguments, call and parameters (`pre_nns.*`, `post_nns.*`, `edge_encoder.*`, `lin.*`, `aggr_module.avg_deg_lin` and
    `avg_deg_log`) are those of PyG's layer. All merges are of the same rows, and the first map of `pre` is applied to
    nodes and edges before it is summed.

    Args:
        in_channels: F.
        out_channels: F'.
        aggregators: of "sum", "mean", "min", "max", "var" and "std", or any :class:`graphseq.Merge` of rows.
        scalers: of "identity", "amplification" (log (d + 1) over its mean), "attenuation" (its inverse), "linear" (d
            over its mean) and "inverse_linear".
        deg: `[D]`, how many nodes of the training set have each in-degree.
        edge_dim: the number of features of an edge, if it has any.
        towers: T.
        pre_layers: the number of linear maps of a message.
        post_layers: the number of linear maps after the merges.
        divide_input: whether each tower gets a T-th of the features, and not all.
        act: the activation between linear maps: the name of one of torch.nn's, or a module.
        act_kwargs: the arguments of an activation given by name.
        train_norm: whether the two mean degrees are learnt.
        flow: "source_to_target", or "target_to_source" to reverse the edges.

    Raises:
        GraphError: an invalid argument; inputs that don't fit the layer or the structure.

    >>> deg = PNAConv.get_degree_histogram([Topology.chain([3, 2])])
    >>> conv = PNAConv(3, 4, ["mean", "max"], ["identity", "attenuation"], deg)
    >>> conv(torch.zeros(2, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, in_channels: int, out_channels: int, aggregators: Sequence[str | Merge], scalers: Sequence[str],
        deg: Tensor, edge_dim: int | None = None, towers: int = 1, pre_layers: int = 1, post_layers: int = 1,
        divide_input: bool = False, act: str | nn.Module | None = "relu", act_kwargs: dict[str, Any] | None = None,
        train_norm: bool = False, *, flow: str = "source_to_target",
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(in_channels=in_channels, out_channels=out_channels, towers=towers)
        check_sizes(pre_layers=pre_layers, post_layers=post_layers)
        if edge_dim is not None:
            check_sizes(edge_dim=edge_dim)
        for name, width in (("in_channels", in_channels if divide_input else towers), ("out_channels", out_channels)):
            if width % towers:
                raise expected(name, f"a multiple of the {towers} towers", width)
        self.in_channels, self.out_channels, self.edge_dim, self.towers = in_channels, out_channels, edge_dim, towers
        self.divide_input, self.flow = divide_input, check_flow(flow)
        self.F_in, self.F_out = in_channels // towers if divide_input else in_channels, out_channels // towers
        self.aggr_module = _Scaled(aggregators, scalers, deg, train_norm)
        if edge_dim is not None:
            self.edge_encoder = linear(edge_dim, self.F_in, bias=True, uniform=True)
        merged = (len(aggregators) * len(scalers) + 1) * self.F_in
        ends = (2 if edge_dim is None else 3) * self.F_in
        options = act_kwargs or {}
        self.pre_nns = nn.ModuleList(_network(ends, self.F_in, pre_layers, act, options) for _ in range(towers))
        self.post_nns = nn.ModuleList(_network(merged, self.F_out, post_layers, act, options) for _ in range(towers))
        self.lin = linear(out_channels, out_channels, bias=True, uniform=True)

    def reset_parameters(self) -> None:
        """Reset the parameters."""
        for module in self.children():
            reset(module)

    def forward(self, x: Tensor, edge_index: Tensor | Topology, edge_attr: Tensor | None = None) -> Tensor:
        """Return X', `[N, F']`.

        Args:
            x: `[N, F]`.
            edge_index: int64 `[2, E]`, a topology of N nodes, or a sparse `adj_t`.
            edge_attr: `[E, edge_dim]`; None for the entries of a sparse `adj_t`, if the layer reads edges.
        """
        topology, weight = structure_of(edge_index, x, None, self.flow)
        if not isinstance(x, Tensor):
            raise expected("x", "a dense tensor, since messages are not linear", x)
        check_features(x, self.in_channels, self.lin)
        if edge_attr is None and self.edge_dim is not None:
            edge_attr = weight
        edges = check_edges(edge_attr, topology, self.edge_dim, x)
        if edges is None and self.edge_dim is not None:
            raise expected("edge_attr", f"shape [{topology.num_edges}, {self.edge_dim}]", Words("None"))
        if edges is not None:
            edges = self.edge_encoder(edges)
        x = x.view(-1, self.towers, self.F_in) if self.divide_input else x[:, None].expand(-1, self.towers, -1)
        out = torch.cat([x, self._merged(topology, x, edges)], 2)
        outs = [network(out[:, t]) for t, network in enumerate(self.post_nns)]
        result: Tensor = self.lin(torch.cat(outs, 1))
        return result

    def _merged(self, topology: Topology, x: Tensor, edges: Tensor | None) -> Tensor:
        """Return the scaled merges of all towers' messages, `[N, T, scalers · merges · F]`."""
        found = [first_map(network) for network in self.pre_nns]
        sent = received = x
        rests: Any = self.pre_nns
        joined = any(f is None for f in found)
        if not joined:  # their first maps, of nodes and edges before they are gathered
            maps, rests = zip(*[f for f in found if f is not None], strict=True)
            wide = self.F_in * (2 if edges is None else 3)
            for m in maps:
                if m.in_features != wide:
                    raise expected("pre_nns", f"first maps of {wide} inputs", Words(f"{m.in_features}"))
            parts = [m.weight.split(self.F_in, 1) for m in maps]
            received = torch.stack([affine(x[:, t], p[0], maps[t].bias) for t, p in enumerate(parts)], 1)
            sent = torch.stack([affine(x[:, t], p[1]) for t, p in enumerate(parts)], 1)
            if edges is not None:
                edges = affine(edges, torch.cat([p[2] for p in parts])).unflatten(1, (self.towers, -1))

        def message(state: State, at: Any, edge: Tensor | None) -> State:
            if joined:
                shared = [] if edge is None else [edge[:, None].expand(-1, self.towers, -1)]
                rows = torch.cat([at, state[0], *shared], 2)
            else:
                rows = state[0] + at if edge is None else state[0] + at + edge
            return (torch.stack([_through(rest, rows[:, t]) for t, rest in enumerate(rests)], 1),)

        merge = self.aggr_module.merge
        (out,) = aggregate(topology, (sent,), message=message, merge=merge, received=received, edge_attr=edges)
        scaled: Tensor = self.aggr_module(out, topology)
        return scaled

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.in_channels}, {self.out_channels}, towers={self.towers}, edge_dim={self.edge_dim}"

    @staticmethod
    def get_degree_histogram(loader: Iterable[Any]) -> Tensor:
        """Return how many nodes have each in-degree, int64 `[D]`, over PyG's data, batches or topologies."""
        total = torch.zeros(1, dtype=torch.int64)
        for data in loader:
            graph = data if isinstance(data, Topology) else Topology.from_data(data)
            counts = torch.bincount(graph.in_degree.cpu(), minlength=total.size(0))
            total = counts + nn.functional.pad(total, (0, counts.size(0) - total.size(0)))
        return total


class _Scaled(nn.Module):
    """The merges side by side, times each of the scalers, which two mean degrees normalise."""

    avg_deg_lin: Tensor
    avg_deg_log: Tensor

    def __init__(self, aggregators: Any, scalers: Any, deg: Any, train_norm: bool) -> None:
        super().__init__()
        for name, given, known in (("aggregators", aggregators, AGGREGATORS), ("scalers", scalers, tuple(_SCALERS))):
            fits = isinstance(given, list | tuple) and len(given)
            if not fits or not all(w in known or (known is AGGREGATORS and isinstance(w, Merge)) for w in given):
                raise expected(name, f"a list of {', '.join(known)}", given)
        if not isinstance(deg, Tensor) or deg.dim() != 1 or not deg.sum() > 0 or bool((deg < 0).any()):
            raise expected("deg", "the number of nodes of each degree, of shape [D]", deg)
        if not deg[1:].sum() > 0 and set(scalers) != {"identity"}:
            raise expected("deg", "a node with edges, since scalers are relative to the mean degree", Words("none"))
        merges = [find_merge(check_aggr(word)) for word in aggregators]
        self.merge, self.scalers = _Several(merges), tuple(scalers)
        self.learnt = nn.ModuleList(m for m in merges if isinstance(m, nn.Module))  # whose parameters are the layer's
        count, degree = deg.to(torch.float32), torch.arange(deg.size(0), device=deg.device)
        total = count.sum()
        self._initial = float((degree * count).sum() / total), float(((degree + 1).log() * count).sum() / total)
        for name, value in zip(("avg_deg_lin", "avg_deg_log"), self._initial, strict=True):
            made = torch.full((1,), value)
            if train_norm:
                self.register_parameter(name, nn.Parameter(made))
            else:
                self.register_buffer(name, made)

    def reset_parameters(self) -> None:
        """Reset the mean degrees to those of the training set."""
        for value, own in zip(self._initial, (self.avg_deg_lin, self.avg_deg_log), strict=True):
            nn.init.constant_(own, value)

    def forward(self, rows: Tensor, topology: Topology) -> Tensor:
        """Return `[N, T, scalers · F]` for merged rows `[N, T, F]`."""
        exact = torch.promote_types(rows.dtype, torch.float32)  # degrees exceed the range of 16 bits
        degree = topology.in_degree.to(exact)[:, None, None]
        means = self.avg_deg_lin.to(exact), self.avg_deg_log.to(exact)
        return torch.cat([(rows * _SCALERS[word](degree, *means)).to(rows.dtype) for word in self.scalers], 2)


class _Several(Merge):
    """Several merges of the same rows, side by side."""

    def __init__(self, merges: Sequence[Merge]) -> None:
        self.merges = merges

    def reduce(self, rows: Tensor, segments: Segments, scores: Tensor | None) -> Tensor:
        """Return `[R, T, merges · F]` for rows `[E, T, F]`."""
        return torch.cat([merge.reduce(rows, segments, None) for merge in self.merges], 2)

    def empty(self, rows: Tensor, count: int) -> Tensor:
        """Return the results of receivers without edges, in the shape of those that have some."""
        parts = rows.split(rows.size(2) // len(self.merges), 2)
        return torch.cat([merge.empty(part, count) for merge, part in zip(self.merges, parts, strict=True)], 2)


def _network(wide: int, out: int, layers: int, act: Any, act_kwargs: dict[str, Any]) -> nn.Sequential:
    """Return linear maps with an activation between each two."""
    modules: list[nn.Module] = [linear(wide, out, bias=True, uniform=True)]
    for _ in range(layers - 1):
        modules += [_activation(act, act_kwargs), linear(out, out, bias=True, uniform=True)]
    return nn.Sequential(*modules)


def _activation(act: Any, options: dict[str, Any]) -> nn.Module:
    if act is None:
        return nn.Identity()
    if isinstance(act, nn.Module):
        return act
    known = {name.lower(): name for name in nn.modules.activation.__all__}
    if not isinstance(act, str) or act.lower().replace("_", "") not in known:
        raise expected("act", 'the name of one of torch.nn\'s activations, such as "relu", a module or None', act)
    made: nn.Module = getattr(nn, known[act.lower().replace("_", "")])(**options)
    return made


def _through(layers: Any, rows: Tensor) -> Tensor:
    if isinstance(layers, nn.Module):
        whole: Tensor = layers(rows)
        return whole
    for layer in layers:
        rows = layer(rows)
    return rows
