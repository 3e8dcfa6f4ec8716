"""torch.nn's recurrent layers: on chains as they are there, and beside that on any directed acyclic graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ...errors import Words, expected
from ...ops.elman import elman_sweep
from ...ops.gru import gru_sweep
from ...ops.lstm import lstm_sweep
from ...topology import Topology
from .recurrent import check_inputs, check_same_kind
from .ways import Way, of_graph, ragged, uniform

State = tuple[Tensor, ...]

_TORCH: dict[str, Any] = {"LSTM": torch.lstm, "GRU": torch.gru, "RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu}


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
        if self._prefers_torch(data):
            out, final = self._torch(data, state, None)
        else:
            steps, count, _ = data.shape
            ways = [uniform(steps, count, data.device, reverse=d > 0) for d in range(self._directions)]
            out, final = self._stack(data.flatten(0, 1), state, ways)
            out = out.view(steps, count, -1)
        if single:
            return out.squeeze(1), self._result(tuple(s.squeeze(1) for s in final))
        return out.transpose(0, 1) if swap else out, self._result(final)

    def _packed(self, x: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        data, sizes, order, rank = x
        state = None if hx is None else self._parts(hx)
        if state is not None and order is not None:
            state = tuple(s.index_select(1, order) for s in state)
        self._check(data, state, sizes)
        if self._prefers_torch(data):
            out, final = self._torch(data, state, sizes)
        else:
            ways = [ragged(sizes, data.device, reverse=d > 0) for d in range(self._directions)]
            out, final = self._stack(data, state, ways)
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

    def _stack(self, rows: Tensor, state: State | None, ways: list[Way]) -> tuple[Tensor, State]:
        """Run every layer in every direction over rows `[N, F]`."""
        finals = []
        for layer in range(self.num_layers):
            outs = []
            for d, way in enumerate(ways):
                at = layer * self._directions + d
                given = None if state is None else tuple(s[at] for s in state)
                start = None if given is None else tuple(way.first(s) for s in given)
                new = self._scan(way.arrange(rows), at, start, way)
                finals.append([way.final(s, None if given is None else given[i]) for i, s in enumerate(new)])
                outs.append(way.arrange_back(new[0]))
            rows = outs[0] if len(outs) == 1 else torch.cat(outs, 1)
            if self.dropout and layer < self.num_layers - 1:
                rows = nn.functional.dropout(rows, self.dropout, self.training)
        return rows, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def _scan(self, rows: Tensor, at: int, start: State | None, way: Way) -> State:
        """Run one layer in one direction over packed rows."""
        w_ih, w_hh, *biases = self.all_weights[at]
        h0, c0 = (None, None) if start is None else (*start, None)[:2]
        if self.mode == "GRU":
            p = nn.functional.linear(rows, w_ih, biases[0] if biases else None)
            b_hh = biases[1] if biases else w_hh.new_zeros(w_hh.size(0))
            return (gru_sweep(p, w_hh, b_hh, h0, way.structure),)
        p = nn.functional.linear(rows, w_ih, biases[0] + biases[1] if biases else None)
        if self.mode == "LSTM":
            return lstm_sweep(p, w_hh, h0, c0, way.structure)
        return (elman_sweep(p, w_hh, h0, way.structure, relu=self.mode == "RNN_RELU"),)

    def _torch(self, data: Tensor, state: State | None, batch_sizes: Tensor | None) -> tuple[Tensor, State]:
        """Run PyTorch's fused kernel."""
        if state is None:
            count = data.size(1) if batch_sizes is None else int(batch_sizes[0])
            state = tuple(data.new_zeros(self.num_layers * self._directions, count, w) for w in self._widths)
        hx: Any = state if self.mode == "LSTM" else state[0]
        rest = self._flat_weights, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional
        if batch_sizes is None:
            out, *final = _TORCH[self.mode](data, hx, *rest, False)
        else:
            out, *final = _TORCH[self.mode](data, batch_sizes, hx, *rest)
        return out, tuple(final)

    def _prefers_torch(self, data: Tensor) -> bool:
        """Say whether PyTorch's kernel serves better, or alone: off the CPU, with projections, for nothing at all."""
        return self.proj_size > 0 or data.numel() == 0 or data.device.type != "cpu"

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
