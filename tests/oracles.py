"""What the engine should compute, written again from the papers' equations, one node at a time or with dense matrices.

Nothing here uses the engine. A step takes one node's input and what its predecessors sent, and returns its state;
:func:`recursion` calls it for each node after all its predecessors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-6, torch.bfloat16: 5e-2}
OF_GRADIENTS = TOLERANCE | {torch.float32: 5e-6}  # sums over more terms


class Sent(NamedTuple):
    """What one edge, or a given initial state, brings to a node."""

    state: State
    slot: int
    edge: Tensor | None


Step = Callable[[Tensor, list[Sent]], State]


def recursion(
    step: Step, x: Tensor, edge_index: Tensor, width: Sequence[int], *, slot: Tensor | None = None,
    edge_attr: Tensor | None = None, state: State | None = None,
) -> State:  # fmt: skip
    """States of all nodes; nodes without predecessors get their own row of `state`, if there is one."""
    n, edges = x.size(0), [(int(u), int(v)) for u, v in edge_index.t()]
    into: list[list[int]] = [[] for _ in range(n)]
    for e, (_, v) in enumerate(edges):
        into[v].append(e)
    done: dict[int, State] = {}
    while len(done) < n:
        ready = [v for v in range(n) if v not in done and all(edges[e][0] in done for e in into[v])]
        assert ready, "a cycle"
        for v in ready:
            sent = []
            for place, e in enumerate(into[v]):
                features = None if edge_attr is None else edge_attr[e]
                sent.append(Sent(done[edges[e][0]], place if slot is None else int(slot[e]), features))
            if not sent and state is not None:
                sent = [Sent(tuple(s[v] for s in state), 0, None)]
            done[v] = step(x[v], sent)
    if n == 0:
        return tuple(x.new_zeros(0, w) for w in width)
    return tuple(torch.stack([done[v][i] for v in range(n)]) for i in range(len(width)))


def total(parts: Iterable[Tensor], width: int, like: Tensor) -> Tensor:
    """The sum of vectors, zeros of none."""
    result = torch.zeros(width, dtype=like.dtype)
    for part in parts:
        result = result + part
    return result


def _or_zero(bias: Tensor | None) -> Tensor | float:
    return 0.0 if bias is None else bias


def elman(w: Any) -> Step:
    """Elman (1990): ``h = tanh(W x + b + U Σ h + b')``, or relu."""
    f = torch.relu if w.nonlinearity == "relu" else torch.tanh

    def step(x: Tensor, sent: list[Sent]) -> State:
        h = total((s.state[0] for s in sent), w.hidden_size, x)
        return (f(w.weight_ih @ x + _or_zero(w.bias_ih) + w.weight_hh @ h + _or_zero(w.bias_hh)),)

    return step


def gru(w: Any) -> Step:
    """Cho et al. (2014), with the reset gate outside the product, as torch.nn has it."""

    def step(x: Tensor, sent: list[Sent]) -> State:
        h = total((s.state[0] for s in sent), w.hidden_size, x)
        a, b = w.weight_ih @ x + _or_zero(w.bias_ih), w.weight_hh @ h + _or_zero(w.bias_hh)
        n = w.hidden_size
        r, z = torch.sigmoid(a[:n] + b[:n]), torch.sigmoid(a[n : 2 * n] + b[n : 2 * n])
        new = torch.tanh(a[2 * n :] + r * b[2 * n :])
        return ((1 - z) * new + z * h,)

    return step


def lstm(w: Any) -> Step:
    """Gers et al. (2000); with peepholes (p_i, p_f on c, p_o on the new c), f = 1 - i, or f = 1."""

    def step(x: Tensor, sent: list[Sent]) -> State:
        h, c = (total((s.state[i] for s in sent), w.hidden_size, x) for i in (0, 1))
        z = w.weight_ih @ x + _or_zero(w.bias_ih) + w.weight_hh @ h + _or_zero(w.bias_hh)
        z_i, z_f, z_g, z_o = z.view(4, -1)
        peep = torch.zeros(3, w.hidden_size, dtype=x.dtype) if w.weight_peephole is None else w.weight_peephole
        i, f = torch.sigmoid(z_i + peep[0] * c), torch.sigmoid(z_f + peep[1] * c)
        if w.coupled:
            f = 1 - i
        elif not w.forget_gate:
            f = torch.ones_like(i)
        new = f * c + i * torch.tanh(z_g)
        return torch.sigmoid(z_o + peep[2] * new) * torch.tanh(new), new

    return step


def child_sum(w: Any) -> Step:
    """Tai et al. (2015), eqs 2 to 8."""

    def step(x: Tensor, sent: list[Sent]) -> State:
        a = (w.weight_ih @ x + _or_zero(w.bias)).view(4, -1)
        u_i, u_f, u_g, u_o = w.weight_hh.view(4, w.hidden_size, -1)
        h = total((s.state[0] for s in sent), w.hidden_size, x)
        i, o = torch.sigmoid(a[0] + u_i @ h), torch.sigmoid(a[3] + u_o @ h)
        kept = total((torch.sigmoid(a[1] + u_f @ s.state[0]) * s.state[1] for s in sent), w.hidden_size, x)
        c = i * torch.tanh(a[2] + u_g @ h) + kept
        return o * torch.tanh(c), c

    return step


def recursive(w: Any) -> Step:
    """Socher et al. (2011): ``p = tanh(W [c_1; …; c_A] + W_ih x + b)``; with a tensor, Socher et al. (2013)."""

    def step(x: Tensor, sent: list[Sent]) -> State:
        children = [total((s.state[0] for s in sent if s.slot == k), w.hidden_size, x) for k in range(w.slots)]
        c = torch.cat(children)
        z = w.weight_hh @ c + w.weight_ih @ x + _or_zero(w.bias)
        if hasattr(w, "weight_tensor"):
            z = z + torch.stack([c @ form @ c for form in w.weight_tensor])
        return (torch.relu(z) if getattr(w, "nonlinearity", "tanh") == "relu" else torch.tanh(z),)

    return step


def matrix_vector(w: Any) -> Step:
    """Socher et al. (2012), eqs 2 and 3, with matrices as what they differ from the identity."""

    def step(x: Tensor, sent: list[Sent]) -> State:
        n = w.hidden_size
        a, b = (total((s.state[0] for s in sent if s.slot == k), n, x) for k in (0, 1))
        m_a, m_b = (total((s.state[1] for s in sent if s.slot == k), n * n, x).view(n, n) for k in (0, 1))
        eye = torch.eye(n, dtype=x.dtype)
        both = torch.cat([(eye + m_b) @ a, (eye + m_a) @ b])
        m = w.weight_m @ torch.cat([m_a, m_b]) + (w.weight_im @ x).view(n, n)
        return torch.tanh(w.weight_hh @ both + w.weight_ih @ x + _or_zero(w.bias)), m.flatten()

    return step


def tree_gru(w: Any) -> Step:
    """A reset gate for each child; a leaf has one child, whose state is 0."""

    def step(x: Tensor, sent: list[Sent]) -> State:
        p_r, p_z, p_n = (w.weight_ih @ x + _or_zero(w.bias_ih)).view(3, -1)
        u_r, u_z, u_n = w.weight_hh.view(3, w.hidden_size, -1)
        b_r, b_z, b_n = (0.0, 0.0, 0.0) if w.bias_hh is None else w.bias_hh.view(3, -1)
        children = [s.state[0] for s in sent] or [torch.zeros(w.hidden_size, dtype=x.dtype)]
        h = total(children, w.hidden_size, x)
        z = torch.sigmoid(p_z + u_z @ h + b_z)
        gated = total((torch.sigmoid(p_r + u_r @ c + b_r) * (u_n @ c + b_n) for c in children), w.hidden_size, x)
        return ((1 - z) * torch.tanh(p_n + gated) + z * h,)

    return step


def nary_gru(w: Any) -> Step:
    """An update gate for each child: shares of the children and of the new state."""

    def step(x: Tensor, sent: list[Sent]) -> State:
        size, arity = w.hidden_size, w.slots
        p_r, p_z, p_n = (w.weight_ih @ x + _or_zero(w.bias_ih)).view(3, -1)
        b_r, b_z, b_n = (0.0, 0.0, 0.0) if w.bias_hh is None else w.bias_hh.view(3, -1)
        u = w.weight_hh.view(2 + arity, size, arity, size)
        child = {s.slot: s.state[0] for s in sent}

        def recurrent(row: int) -> Tensor:
            return total((u[row, :, k] @ h for k, h in child.items()), size, x)

        r = torch.sigmoid(p_r + recurrent(0) + b_r)
        powers = [torch.exp(p_z + recurrent(1 + k) + b_z) for k in range(arity)]
        n = torch.tanh(p_n + r * (recurrent(1 + arity) + b_n))
        kept = total((powers[k] * h for k, h in child.items()), size, x)
        return ((kept + n) / (1 + sum(powers)),)

    return step


def attentive(w: Any) -> Step:
    """Zhou et al. (2016): child-sum, with attention in place of both sums."""

    def step(x: Tensor, sent: list[Sent]) -> State:
        a = (w.weight_ih @ x + _or_zero(w.bias)).view(4, -1)
        u_i, u_f, u_g, u_o = w.weight_hh.view(4, w.hidden_size, -1)
        own = w.weight_ai @ x + _or_zero(w.bias_a)
        powers = [torch.exp(torch.tanh(own + w.weight_ah @ s.state[0]) @ w.attention) for s in sent]
        pairs = [(k / sum(powers), s.state) for k, s in zip(powers, sent, strict=True)]
        h = total((k * h for k, (h, _) in pairs), w.hidden_size, x)
        i, o = torch.sigmoid(a[0] + u_i @ h), torch.sigmoid(a[3] + u_o @ h)
        kept = total((k * torch.sigmoid(a[1] + u_f @ h) * c for k, (h, c) in pairs), w.hidden_size, x)
        c = i * torch.tanh(a[2] + u_g @ h) + kept
        return o * torch.tanh(c), c

    return step


def typed(w: Any) -> Step:
    """A matrix for each type of edge; a given state comes by type 0."""

    def step(x: Tensor, sent: list[Sent]) -> State:
        parts = (w.weight_hh[0 if s.edge is None else int(s.edge)] @ s.state[0] for s in sent)
        return (torch.tanh(w.weight_ih @ x + _or_zero(w.bias) + total(parts, w.hidden_size, x)),)

    return step


def dependency(w: Any) -> Step:
    """Child-sum of h that the child's relation has mapped; a given state has none."""
    inner = child_sum(w)

    def step(x: Tensor, sent: list[Sent]) -> State:
        mapped = [(s.state[0] if s.edge is None else w.weight_rh[int(s.edge)] @ s.state[0], s.state[1]) for s in sent]
        return inner(x, [Sent(state, 0, None) for state in mapped])

    return step


def nary(w: Any) -> Step:
    """Tai et al. (2015), eqs 9 to 14: rows i, f_1 … f_A, g, o, columns child 1 … child A."""

    def step(x: Tensor, sent: list[Sent]) -> State:
        size, arity = w.state_sizes[0], w.slots
        a = (w.weight_ih @ x + _or_zero(w.bias)).view(4, -1)
        u = w.weight_hh.view(3 + arity, size, arity, size)
        child = {s.slot: s.state for s in sent}

        def recurrent(row: int) -> Tensor:
            return total((u[row, :, k] @ h for k, (h, _) in child.items()), size, x)

        i, o = torch.sigmoid(a[0] + recurrent(0)), torch.sigmoid(a[3] + recurrent(2 + arity))
        kept = total((torch.sigmoid(a[1] + recurrent(1 + k)) * c for k, (_, c) in child.items()), size, x)
        c = i * torch.tanh(a[2] + recurrent(1 + arity)) + kept
        return o * torch.tanh(c), c

    return step


def sweep_oracle(step: Step, cell: Any, x: Tensor, topology: Any, state: State | None = None) -> State:
    """:func:`recursion` over what a topology says of itself."""
    slot = topology.slot if cell.merge == "slots" else None
    return recursion(step, x, topology.edge_index, cell.state_sizes, slot=slot, state=state)


def adjacency(edge_index: Tensor, num_nodes: int, weight: Tensor | None = None) -> Tensor:
    """Dense, rows are receivers; edges that stand twice count twice."""
    values = torch.ones(edge_index.size(1), dtype=torch.float64) if weight is None else weight
    dense = torch.zeros(num_nodes, num_nodes, dtype=values.dtype)
    for e, (u, v) in enumerate(edge_index.t().tolist()):
        one = torch.zeros_like(dense)
        one[v, u] = 1
        dense = dense + values[e] * one
    return dense


def tensors(value: Any) -> State:
    """One tensor or several, as several."""
    return (value,) if isinstance(value, Tensor) else tuple(value)


def assert_close(actual: Tensor, wanted: Tensor, tolerance: float | None = None) -> None:
    """Same shape and dtype, and near each other: by the tolerance of the dtype, times the largest magnitude."""
    assert actual.shape == wanted.shape, f"{list(actual.shape)} and not {list(wanted.shape)}"
    assert actual.dtype == wanted.dtype, f"{actual.dtype} and not {wanted.dtype}"
    if wanted.numel():
        scale = max(1.0, float(wanted.detach().abs().max()))
        allowed = scale * (TOLERANCE[actual.dtype] if tolerance is None else tolerance)
        torch.testing.assert_close(actual, wanted, rtol=0, atol=allowed)


def assert_agree(
    actual: Any, wanted: Any, leaves: Iterable[Tensor | None] = (), tolerance: float | None = None
) -> None:
    """Outputs agree, and so do the gradients of a random combination of them by the leaves."""
    ours, theirs = tensors(actual), tensors(wanted)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, tolerance)
    by = [leaf for leaf in leaves if leaf is not None]
    if not by:
        return
    weights = [torch.randn_like(b) for b in theirs]
    for a, b in zip(gradients(ours, by, weights), gradients(theirs, by, weights), strict=True):
        assert_close(a, b, OF_GRADIENTS[a.dtype] if tolerance is None else tolerance)


def gradients(
    outputs: Sequence[Tensor], leaves: Sequence[Tensor], weights: Sequence[Tensor], *, create_graph: bool = False
) -> list[Tensor]:
    """Gradients of the weighted outputs by the leaves, zeros where one has no part in them."""
    pairs = [(o, w) for o, w in zip(outputs, weights, strict=True) if o.requires_grad]
    if not pairs:
        return [torch.zeros_like(leaf) for leaf in leaves]
    heads, seeds = zip(*pairs, strict=True)
    found = torch.autograd.grad(heads, leaves, seeds, retain_graph=True, allow_unused=True, create_graph=create_graph)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)]


def leaf(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """A random tensor that wants a gradient."""
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


def copy_weights(cell: nn.Module, layer: nn.Module, suffix: str = "_l0") -> nn.Module:
    """Give a cell the weights of one layer and direction of torch.nn's; a Tree-LSTM's bias is the sum of both."""
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            if name == "bias":
                parameter.copy_(getattr(layer, f"bias_ih{suffix}") + getattr(layer, f"bias_hh{suffix}"))
            else:
                parameter.copy_(getattr(layer, name + suffix))
    return cell
