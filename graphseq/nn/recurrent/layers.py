"""torch.nn's recurrent layers: on chains as they are there, and beside that on any directed acyclic graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ...errors import Words, expected
from ...ops.elman import elman_sweep
from ...ops.first_order import first_order
from ...ops.gru import gru_sweep
from ...ops.lstm import lstm_sweep
from ...topology import Topology
from ...topology.inputs import check_same_kind
from .recurrent import check_inputs
from .ways import Way, of_graph, ragged, uniform

State = tuple[Tensor, ...]

_TORCH: dict[str, Any] = {"LSTM": torch.lstm, "GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}


def _onednn(rows: Tensor) -> bool:
    """Say whether PyTorch would run an LSTM by oneDNN, which beats our own."""
    if torch.compiler.is_compiling() or rows.device.type != "cpu" or rows.dtype != torch.float32:
        return False
    return bool(torch.backends.mkldnn.enabled) and torch.backends.mkldnn.is_available()


class _Layers(nn.RNNBase):
    """A stack of sweeps in one direction or both, with torch.nn's parameters, arguments and results."""

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
        single, swap = x.dim() == 2, x.dim() == 3 and self.batch_first
        data = x.unsqueeze(1) if single else x.transpose(0, 1) if swap else x
        state = None if hx is None else self._parts(hx)
        if single and state is not None:
            state = tuple(s.unsqueeze(1) for s in state)
        self._check(data, state, None)
        if self._prefers_torch(data, dense=True):
            out, final = self._torch(data, state, None)
        else:
            out, final = self._stack(data.flatten(0, 1), state, self._ways(data, None))
            out = out.view(*data.shape[:2], -1)
        if single:
            return out.squeeze(1), self._result(tuple(s.squeeze(1) for s in final))
        return out.transpose(0, 1) if swap else out, self._result(final)

    def _packed(self, x: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        data, sizes, order, rank = x
        state = None if hx is None else self._parts(hx)
        if state is not None and order is not None:
            state = tuple(s.index_select(1, order) for s in state)
        self._check(data, state, sizes)
        if self._prefers_torch(data, dense=False):
            out, final = self._torch(data, state, sizes)
        else:
            out, final = self._stack(data, state, self._ways(data, sizes))
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
        out, final = self._stack(x, state, [of_graph(t) for t in (topology, topology.reverse())[: self._directions]])
        return out, self._result(final)

    def _stack(
        self, rows: Tensor, state: State | None, ways: list[Way], weights: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, State]:
        """Run every layer in every direction over rows `[N, F]`."""
        flat: Any = self._flat_weights if weights is None else weights
        each = 4 if self.bias else 2
        finals = []
        for layer in range(self.num_layers):
            outs = []
            for d, way in enumerate(ways):
                at = layer * self._directions + d
                given = (None, None) if state is None else (*(s[at] for s in state), None)[:2]
                new, *final = self._scan(way.arrange(rows), flat[at * each : at * each + each], given, way)
                finals.append(final)
                outs.append(way.arrange_back(new))
            rows = outs[0] if len(outs) == 1 else torch.cat(outs, 1)
            if self.dropout and layer < self.num_layers - 1:
                rows = nn.functional.dropout(rows, self.dropout, self.training)
        return rows, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def _scan(
        self, rows: Tensor, weights: Sequence[Tensor], given: tuple[Tensor | None, ...], way: Way
    ) -> tuple[Tensor, ...]:
        """Run one layer in one direction over packed rows; return its states and each final state."""
        tensors: Any = rows, *given, *weights
        if self.mode == "LSTM" and way.steps is not None and _onednn(rows):
            return first_order(partial(self._fused, way), partial(self._swept, way), *tensors)
        return self._swept(way, *tensors)

    def _swept(
        self, way: Way, rows: Tensor, h0: Tensor | None, c0: Tensor | None, w_ih: Tensor, w_hh: Tensor, *biases: Tensor
    ) -> tuple[Tensor, ...]:
        """Run it by our own operators."""
        start = None if h0 is None else way.first(h0)
        if self.mode == "GRU":
            p = nn.functional.linear(rows, w_ih, biases[0] if biases else None)
            h = gru_sweep(p, w_hh, biases[1] if biases else w_hh.new_zeros(w_hh.size(0)), start, way.structure)
            return h, way.final(h, h0)
        p = nn.functional.linear(rows, w_ih, biases[0] + biases[1] if biases else None)
        if self.mode == "LSTM":
            h, c = lstm_sweep(p, w_hh, start, None if c0 is None else way.first(c0), way.structure)
            return h, way.final(h, h0), way.final(c, c0)
        h = elman_sweep(p, w_hh, start, way.structure, relu=self.mode == "RNN_RELU")
        return h, way.final(h, h0)

    def _fused(
        self, way: Way, rows: Tensor, h0: Tensor | None, c0: Tensor | None, *weights: Tensor
    ) -> tuple[Tensor, ...]:
        """Run an LSTM over chains of one length by PyTorch's kernel."""
        data = rows.view(way.steps or 0, -1, rows.size(1))
        zeros = rows.new_zeros(1, data.size(1), self.hidden_size)
        start = [zeros if t is None else t[None] for t in (h0, c0)]
        out, h, c = torch.lstm(data, start, weights, self.bias, 1, 0.0, torch.is_grad_enabled(), False, False)
        return out.flatten(0, 1), h[0], c[0]

    def _torch(self, data: Tensor, state: State | None, batch_sizes: Tensor | None) -> tuple[Tensor, State]:
        """Run PyTorch's kernel for the whole stack."""
        states = len(self._widths)
        if state is None:
            count = data.size(1) if batch_sizes is None else int(batch_sizes[0])
            state = tuple(data.new_zeros(self.num_layers * self._directions, count, w) for w in self._widths)

        def fast(data: Tensor, *tensors: Tensor) -> State:
            hx: Any = tensors[:2] if self.mode == "LSTM" else tensors[0]
            rest = tensors[states:], self.bias, self.num_layers, self.dropout, self.training, self.bidirectional
            if batch_sizes is None:
                return tuple(_TORCH[self.mode](data, hx, *rest, False))
            return tuple(_TORCH[self.mode](data, batch_sizes, hx, *rest))

        def slow(data: Tensor, *tensors: Tensor) -> State:
            ways = self._ways(data, batch_sizes)
            out, final = self._stack(data.reshape(-1, data.size(-1)), tensors[:states], ways, tensors[states:])
            return (out.view(*data.shape[:-1], -1), *final)

        tensors: Any = data, *state, *self._flat_weights
        if self._random or self.proj_size or data.numel() == 0:  # no second run would give the same
            out, *final = fast(*tensors)
        else:
            out, *final = first_order(fast, slow, *tensors)
        return out, tuple(final)

    def _ways(self, data: Tensor, batch_sizes: Tensor | None) -> list[Way]:
        """Return the ways of chains, `[T, B, F]` or packed, in each direction."""
        turns = [False, True][: self._directions]
        if batch_sizes is not None:
            return [ragged(batch_sizes, data.device, reverse=turn) for turn in turns]
        return [uniform(data.size(0), data.size(1), data.device, reverse=turn) for turn in turns]

    def _prefers_torch(self, data: Tensor, *, dense: bool) -> bool:
        """Say whether PyTorch's kernel for the whole stack serves better, or alone."""
        if data.device.type != "cpu" and not torch.compiler.is_compiling():
            return True
        whole = self.mode == "LSTM" and dense and _onednn(data) and not self._random
        return whole or self.proj_size > 0 or data.numel() == 0

    @property
    def _random(self) -> bool:
        return self.dropout > 0 and self.training and self.num_layers > 1

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _widths(self) -> list[int]:
        return [self.proj_size or self.hidden_size, self.hidden_size][: 2 if self.mode == "LSTM" else 1]

    def _parts(self, hx: Any) -> State:
        parts = (hx,) if isinstance(hx, Tensor) else tuple(hx)
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
            self.check_hidden_size(s, (self.num_layers * self._directions, count, width))


class RNN(_Layers):
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


class GRU(_Layers):
    """Gated recurrent network, a drop-in for ``torch.nn.GRU``; the equations stand at :class:`graphseq.nn.GRUCell`.

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


class LSTM(_Layers):
    """Long short-term memory, a drop-in for ``torch.nn.LSTM``; the equations stand at :class:`graphseq.nn.LSTMCell`.

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
