"""torch.nn's recurrent layers: on chains as in torch.nn, and on any directed acyclic graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ...core import aggregate, sweep_packed
from ...errors import Words, expected
from ...lowering import Inputs
from ...messages import State
from ...ops.library import apart
from ...ops.permute import permute
from ...topology import Topology
from ...topology.inputs import check_same_kind
from ..cells import ElmanCell, GRUCell, LSTMCell
from ..cells.base import bare
from .first_order import first_order
from .recurrent import check_inputs

_CELLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "RNN_TANH": (ElmanCell, {"nonlinearity": "tanh"}),
    "RNN_RELU": (ElmanCell, {"nonlinearity": "relu"}),
    "GRU": (GRUCell, {}),
    "LSTM": (LSTMCell, {"weight_peephole": None, "coupled": False, "forget_gate": True}),
}
_TORCH: dict[str, Any] = {"LSTM": torch.lstm, "GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}
_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@lru_cache(maxsize=16)
def _chains(lengths: tuple[int, ...], device: str) -> Topology:
    chains: Topology = apart(lambda: Topology.chain(lengths).to(device))
    return chains


class Stack(nn.RNNBase):
    """Sweeps of a cell in one direction or both, layer upon layer, with the parameters, arguments and results of
    torch.nn's layers. (Not a subclass of them, which ``torch.compile`` refuses to trace.)
    """

    def forward(self, x: Any, hx: Any = None, topology: Topology | None = None) -> tuple[Any, Any]:
        """Return all states of the last layer, and the final states of every layer.

        Args:
            x: `[T, B, F]`, with `batch_first` `[B, T, F]`, one sequence `[T, F]`, or a ``PackedSequence``; with a
                topology `[N, F]`.
            hx: initial states `[layers · directions, B, H]` (of one sequence `[layers · directions, H]`), for an LSTM
                a pair of them; zeros by default. With a topology B is its number of graphs, and every node without
                predecessors starts from its graph's.
            topology: a directed acyclic graph; the states of a node's predecessors are summed.

        Returns:
            The output, in the form of x and directions · H wide, and the final states, in the form of hx. With a
            topology, a graph's final state is the sum over its nodes without successors: on a chain, its last node's.

        Raises:
            GraphError: with a topology: wrong rows, widths, dtypes or devices, a cycle, `proj_size` above 0.
        """
        if topology is not None:
            return self._over(x, hx, topology)
        if isinstance(x, PackedSequence):
            return self._packed(x, hx)
        if not isinstance(x, Tensor):
            raise expected("x", "a tensor or a PackedSequence", x)
        single, swap = x.dim() == 2, x.dim() == 3 and self.batch_first
        data = x.unsqueeze(1) if single else x.transpose(0, 1) if swap else x
        state = None if hx is None else self._parts(hx)
        if single and state is not None:
            state = tuple(s.unsqueeze(1) for s in state)
        self._check(data, state, None)
        out, final = self._chain(data, state, None)
        if single:
            return out.squeeze(1), self._result(tuple(s.squeeze(1) for s in final))
        return out.transpose(0, 1) if swap else out, self._result(final)

    def _packed(self, x: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        data, sizes, order, rank = x
        state = None if hx is None else self._parts(hx)
        if state is not None and order is not None:
            state = tuple(s.index_select(1, order) for s in state)
        self._check(data, state, sizes)
        out, final = self._chain(data, state, sizes)
        if rank is not None:
            final = tuple(s.index_select(1, rank) for s in final)
        return PackedSequence(out, sizes, order, rank), self._result(final)

    def _over(self, x: Tensor, hx: Any, topology: Topology) -> tuple[Tensor, Any]:
        if self.proj_size:
            raise expected("proj_size", "0 for a call with a topology", self.proj_size)
        check_inputs(self, x, topology)
        if x.size(1) != self.input_size:
            raise expected("x", f"inputs of width {self.input_size}, the layer's input_size", x)
        state = None if hx is None else self._parts(hx)
        shape = (self.num_layers * self._directions, topology.num_graphs, self.hidden_size)
        for s in state or ():
            check_same_kind("hx", s, x)
            if s.shape != shape:
                raise expected("hx", f"shape {list(shape)}", s)
        packed = topology.packed
        rows = permute(x, packed.order, packed.rank)
        out, final = self._stack(rows, state, topology, self._weights(), chains=False)
        return permute(out, packed.rank, packed.order), self._result(final)

    def _chain(self, data: Tensor, state: State | None, batch_sizes: Tensor | None) -> tuple[Tensor, State]:
        """Run over chains: `[T, B, F]`, or packed as in a ``PackedSequence``, by the best kernel."""
        if self._prefers_torch(data, batch_sizes):
            return self._torch(data, state, batch_sizes)
        return self._swept(data, state, batch_sizes, self._weights())

    def _swept(
        self, data: Tensor, state: State | None, batch_sizes: Tensor | None, weights: Sequence[Tensor]
    ) -> tuple[Tensor, State]:
        lengths = (data.size(0),) * data.size(1) if batch_sizes is None else _lengths(batch_sizes)
        if torch.compiler.is_compiling():
            chains = Topology.chain(lengths).to(data.device)
        else:
            chains = _chains(lengths, str(data.device))
        out, final = self._stack(data.reshape(-1, data.size(-1)), state, chains, weights, chains=True)
        return out.view(*data.shape[:-1], -1), final

    def _stack(
        self, rows: Tensor, state: State | None, topology: Topology, weights: Sequence[Tensor], *, chains: bool
    ) -> tuple[Tensor, State]:
        """Sweep every layer in every direction over packed rows `[N, F]`; weights as in :meth:`_weights`."""
        ways = [topology, topology.reverse()][: self._directions]
        kind, options = _CELLS[self.mode]
        sizes, each, finals = (self.hidden_size,) * len(self._widths), len(weights) // self._count, []
        for layer in range(self.num_layers):
            outs = []
            for d, way in enumerate(ways):
                at = layer * self._directions + d
                given = dict.fromkeys(_NAMES) | dict(zip(_NAMES, weights[at * each : at * each + each], strict=False))
                cell = bare(kind, state_sizes=sizes, **given, **options)
                initial = None if state is None else tuple(s[at] for s in state)
                start = initial if chains or initial is None else _at_first(initial, way)
                here = rows if d == 0 else permute(rows, *_turn(topology))
                new = sweep_packed(cell, Inputs(here, None, topology.num_nodes), way, start)
                finals.append(_final(new, initial, way, chains))
                outs.append(new[0] if d == 0 else permute(new[0], *_turn(way)))
            rows = outs[0] if len(outs) == 1 else torch.cat(outs, 1)
            if self.dropout and layer < self.num_layers - 1:
                rows = nn.functional.dropout(rows, self.dropout, self.training)
        return rows, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def _torch(self, data: Tensor, state: State | None, batch_sizes: Tensor | None) -> tuple[Tensor, State]:
        """Run PyTorch's kernel for the whole stack."""
        states, weights = len(self._widths), self._weights()
        if state is None:
            count = data.size(1) if batch_sizes is None else int(batch_sizes[0])
            state = tuple(data.new_zeros(self._count, count, width) for width in self._widths)

        def fast(data: Tensor, *tensors: Tensor) -> State:
            hx: Any = tensors[:2] if states == 2 else tensors[0]
            rest = tensors[states:], self.bias, self.num_layers, self.dropout, self.training, self.bidirectional
            if batch_sizes is None:
                return tuple(_TORCH[self.mode](data, hx, *rest, False))
            return tuple(_TORCH[self.mode](data, batch_sizes, hx, *rest))

        def slow(data: Tensor, *tensors: Tensor) -> State:
            out, final = self._swept(data, tensors[:states], batch_sizes, tensors[states:])
            return out, *final

        if self._random or self.proj_size or data.numel() == 0:  # a second run would differ
            out, *final = fast(data, *state, *weights)
        else:
            out, *final = first_order(fast, slow, data, *state, *weights)
        return out, tuple(final)

    def _prefers_torch(self, data: Tensor, batch_sizes: Tensor | None) -> bool:
        """Return whether PyTorch's kernel for the whole stack is better, or the only one: cuDNN, and oneDNN's LSTM."""
        if self.proj_size > 0 or data.numel() == 0:
            return True
        if torch.compiler.is_compiling():
            return False
        onednn = bool(torch.backends.mkldnn.enabled) and torch.backends.mkldnn.is_available()
        dense = self.mode == "LSTM" and batch_sizes is None and data.dtype == torch.float32 and not self._random
        return data.is_cuda or (dense and onednn and data.device.type == "cpu")

    def _weights(self) -> list[Tensor]:
        """Return the current parameters, as set by functional_call, a parametrization, …"""
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def _random(self) -> bool:
        return self.dropout > 0 and self.training and self.num_layers > 1

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _count(self) -> int:
        return self.num_layers * self._directions

    @property
    def _widths(self) -> list[int]:
        return [self.proj_size or self.hidden_size, self.hidden_size][: 2 if self.mode == "LSTM" else 1]

    def _parts(self, hx: Any) -> State:
        if isinstance(hx, Topology):
            raise expected("hx", "initial states; a topology is passed as topology=", hx)
        parts = tuple(hx) if isinstance(hx, tuple | list) else (hx,)
        for part in parts:
            if not isinstance(part, Tensor):
                raise expected("hx", "tensors", part)
        if len(parts) != len(self._widths):
            wanted = "a pair (h, c)" if self.mode == "LSTM" else "one tensor"
            raise expected("hx", wanted, Words(f"{len(parts)} tensors"))
        return parts

    def _result(self, final: State) -> Any:
        return final if self.mode == "LSTM" else final[0]

    def _check(self, data: Tensor, state: State | None, batch_sizes: Tensor | None) -> None:
        """Check shapes by torch.nn's own checks, with its errors."""
        self.check_input(data, batch_sizes)
        count = data.size(1) if batch_sizes is None else int(batch_sizes[0])
        for s, width in zip(state or (), self._widths, strict=False):
            self.check_hidden_size(s, (self._count, count, width))


def _lengths(batch_sizes: Tensor) -> tuple[int, ...]:
    """Return the lengths of packed chains, the longest first."""
    sizes = batch_sizes.tolist()
    steps = (batch_sizes[None, :] > torch.arange(sizes[0], device="cpu")[:, None]).sum(1)
    return tuple(steps.tolist())


def _turn(topology: Topology) -> tuple[Tensor, Tensor]:
    """Return the permutation of packed rows to those of the reversed topology, and the one back."""
    here, there = topology.packed, topology.reverse().packed
    return topology.memo("turn", lambda: (here.rank[there.order], there.rank[here.order]))


def _at_first(initial: State, topology: Topology) -> State:
    """Return the initial states of the nodes of level 0, given one row per graph."""
    packed = topology.packed
    first = packed.order[: int(packed.level_ptr[1])] if topology.num_nodes else packed.order
    graph = topology.batch.index_select(0, first)
    return tuple(s.index_select(0, graph) for s in initial)


def _final(states: State, initial: State | None, topology: Topology, chains: bool) -> State:
    """Return the final state of each graph; of one without nodes, its initial state."""
    ends = topology.memo("ends", lambda: topology.packed.rank[topology.roots])
    rows = tuple(s.index_select(0, ends) for s in states)
    if chains:
        return rows
    totals = aggregate(topology.root_members, rows)
    if initial is None:
        return totals
    empty = (topology.graph_ptr.diff() == 0)[:, None]
    return tuple(torch.where(empty, s, total) for s, total in zip(initial, totals, strict=True))


class RNN(Stack):
    """Simple recurrent network, a drop-in for ``torch.nn.RNN``: ``h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)``.

    Elman (1990), Finding structure in time. Constructor, call, results and `state_dict` are torch.nn's; see there.
    With `topology=` it runs over any directed acyclic graph.

    >>> layer = RNN(3, 4, bidirectional=True)
    >>> layer(torch.zeros(5, 2, 3))[0].shape
    torch.Size([5, 2, 8])
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise expected("nonlinearity", '"tanh" or "relu"', nonlinearity)
        self.nonlinearity = nonlinearity
        super().__init__(
            f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, device=device, dtype=dtype,
        )  # fmt: skip


class GRU(Stack):
    """Gated recurrent network, a drop-in for ``torch.nn.GRU``; see :class:`graphseq.nn.GRUCell` for the equations.

    Cho et al. (2014), Learning phrase representations using RNN encoder-decoder. Constructor, call, results and
    `state_dict` are torch.nn's; see there. With `topology=` it runs over any directed acyclic graph.

    >>> layer = GRU(3, 4)
    >>> out, h = layer(torch.zeros(5, 3), topology=Topology.tree([2, 2, 4, 4, -1]))
    >>> out.shape, h.shape
    (torch.Size([5, 4]), torch.Size([1, 1, 4]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device=device,
            dtype=dtype,
        )  # fmt: skip


class LSTM(Stack):
    """Long short-term memory, a drop-in for ``torch.nn.LSTM``; see :class:`graphseq.nn.LSTMCell` for the equations.

    Hochreiter & Schmidhuber (1997), Long short-term memory. Constructor, call, results and `state_dict` are torch.nn's;
    see there. With `topology=` it runs over any directed acyclic graph; `proj_size` above 0 then is an error.

    >>> out, (h, c) = LSTM(3, 4)(torch.zeros(5, 2, 3))
    >>> out.shape, c.shape
    (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
            device=device, dtype=dtype,
        )  # fmt: skip
