"""Recursive cells whose matrices depend on the type of the edge: a category, or the relation of a dependency."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...cell import Cell
from ...errors import expected
from ...messages import State
from ...ops.library import is_transformed
from ...topology.inputs import check_range
from .base import check_sizes, uniform
from .tree_lstm import ChildSumTreeLSTMCell

_FEW = 4  # types up to which all matrices are applied to all rows


def typed_product(rows: Tensor, weight: Tensor, types: Tensor) -> Tensor:
    """Return ``W_{type of e} row_e`` for each edge, `[E, O]`.

    Args:
        rows: `[E, I]`.
        weight: `[T, O, I]`.
        types: int64 `[E]`.

    Raises:
        GraphError: no type for each edge, or one out of range.
    """
    count, out, _ = weight.shape
    if not isinstance(types, Tensor) or types.dtype != torch.int64 or types.shape != rows.shape[:1]:
        raise expected("edge_attr", "int64 of shape [E], the type of each edge", types)
    static = torch.compiler.is_compiling() or is_transformed() or types.device.type != "cpu"
    if not static:
        check_range("edge_attr", types, count)
    if static or count <= _FEW:
        every: Tensor = nn.functional.linear(rows, weight.flatten(0, 1)).view(-1, count, out)
        return every.gather(1, types.view(-1, 1, 1).expand(-1, 1, out))[:, 0]
    sizes = torch.bincount(types, minlength=count).tolist()
    order = torch.argsort(types, stable=True)
    parts = rows.index_select(0, order).split(sizes)
    # `unbind`, since the gradient of an index is as large as all matrices
    pairs = [(part, w) for part, w in zip(parts, weight.unbind(), strict=True) if part.size(0)]
    made = torch.cat([part @ w.t() for part, w in pairs] or [rows.new_empty(0, out)])
    return torch.zeros_like(made).index_copy(0, order, made)


class TypedRecursiveCell(Cell):
    """Recursive network with a matrix for each type of edge:

        h = tanh(W_ih x + b + Σ_{u→v} W_{type of u→v} h_u)

    With the relations of dependencies as types, Socher, Karpathy, Le, Manning & Ng (2014), Grounded compositional
    semantics for finding and describing images with sentences; with a type for each place of a child and pair of the
    children's categories, Socher, Bauer, Manning & Ng (2013), Parsing with compositional vector grammars. In a sweep
    and in rounds the types are `edge_attr`, int64 `[E]`; a given initial state comes by type 0. With types that are
    the places of children this is :class:`RecursiveCell`.

    Parameters: weight_ih `[H, F]`, weight_hh `[T, H, H]`, bias `[H]`.

    Args:
        input_size: F.
        hidden_size: H.
        num_types: T.
        bias: whether there is b.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: a size below 1; on a call, types that are missing or out of range.

    >>> from graphseq import Topology
    >>> from graphseq.nn import Recurrent
    >>> tree = Topology.tree([2, 2, 4, 4, -1])
    >>> category = torch.tensor([0, 0, 1, 0, 1])  # of the nodes
    >>> types = 2 * category[tree.edge_index[1]] + tree.slot
    >>> Recurrent(TypedRecursiveCell(3, 4, num_types=4))(torch.zeros(5, 3), tree, edge_attr=types).shape
    torch.Size([5, 4])
    """

    bias: nn.Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, num_types: int, bias: bool = True, device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_types=num_types)
        self.input_size: int = input_size
        self.hidden_size, self.num_types = hidden_size, num_types
        self.state_sizes = (hidden_size,)
        self.weight_ih = uniform((hidden_size, input_size), hidden_size, device, dtype)
        self.weight_hh = uniform((num_types, hidden_size, hidden_size), hidden_size, device, dtype)
        self.register_parameter("bias", uniform((hidden_size,), hidden_size, device, dtype) if bias else None)

    def project(self, x: Tensor) -> Tensor:
        """Return ``W_ih x + b``."""
        return nn.functional.linear(x, self.weight_ih, self.bias)

    def message(self, sent: State, received: Tensor, edge: Tensor | None) -> State:
        """Return ``W_{type} h_u``."""
        if edge is None:
            raise expected("edge_attr", "int64 of shape [E], the type of each edge", None)
        return (typed_product(sent[0], self.weight_hh, edge),)

    def begin(self, p: Tensor, state: State) -> State:
        """Return the message of type 0 of this state."""
        return (nn.functional.linear(state[0], self.weight_hh[0]),)

    def update(self, p: Tensor, state: State) -> State:
        """Return ``tanh(p + Σ W h)``."""
        return (torch.tanh(p + state[0]),)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.input_size}, {self.hidden_size}, num_types={self.num_types}"


class DependencyTreeLSTMCell(ChildSumTreeLSTMCell):
    """Child-sum Tree-LSTM over dependencies: the relation r_k of a child maps its h before anything reads it.

        h_k' = T_{r_k} h_k,   h~ = Σ_k h_k'
        i = σ(W_i x + U_i h~ + b_i),  f_k = σ(W_f x + U_f h_k' + b_f)
        g = tanh(W_g x + U_g h~ + b_g),  o = σ(W_o x + U_o h~ + b_o)
        c = i ∘ g + Σ_k f_k ∘ c_k,  h = o ∘ tanh(c)

    The child-sum Tree-LSTM, which Tai, Socher & Manning (2015) apply to dependencies, with the matrices for relations
    of Socher, Karpathy, Le, Manning & Ng (2014), Grounded compositional semantics for finding and describing images
    with sentences. (Miwa & Bansal 2016 have a U for each type of child; T U is one, of fewer parameters.) T begins at
    the identity, where this is :class:`ChildSumTreeLSTMCell`. In a sweep and in rounds the relations are `edge_attr`,
    int64 `[E]`; a given initial state comes without one.

    Parameters: weight_ih `[4H, F]`, weight_hh `[4H, H]` and bias `[4H]` in the order i, f, g, o; weight_rh `[R, H, H]`.

    Args:
        input_size: F.
        hidden_size: H.
        num_relations: R.
        bias: whether there is b.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        GraphError: a size below 1; on a call, relations that are missing or out of range.

    >>> from graphseq import Topology
    >>> from graphseq.nn import Recurrent
    >>> heads = Topology.tree([1, -1, 1])  # of "It works well"
    >>> relations = torch.tensor([0, 2])  # nsubj, advmod
    >>> h, c = Recurrent(DependencyTreeLSTMCell(3, 4, num_relations=3))(torch.zeros(3, 3), heads, edge_attr=relations)
    >>> h.shape
    torch.Size([3, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_relations: int, bias: bool = True, device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:  # fmt: skip
        check_sizes(num_relations=num_relations)
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.num_relations = num_relations
        eye = torch.eye(hidden_size, device=device, dtype=dtype)
        self.weight_rh = nn.Parameter(eye.repeat(num_relations, 1, 1))

    def message(self, sent: State, received: Tensor, edge: Tensor | None) -> State:
        """Return ``h_k'``, and ``f_k ∘ c_k``."""
        if edge is None:
            raise expected("edge_attr", "int64 of shape [E], the relation of each edge", None)
        h = typed_product(sent[0], self.weight_rh, edge)
        return super().message((h, sent[1]), received, None)

    def begin(self, p: Tensor, state: State) -> State:
        """Return the message of one child with this state, without a relation."""
        return super().message(state, p, None)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{super().extra_repr()}, num_relations={self.num_relations}"
