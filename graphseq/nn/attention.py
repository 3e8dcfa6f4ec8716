"""Scores of attention, for :class:`graphseq.Softmax`: callables of senders, receivers and edges.

The first tensor of the sender's state are the values that are summed, and the message is :data:`graphseq.FIRST`:

    (h,) = core.aggregate(links, (values, keys), message=FIRST, merge=Softmax(Dot(heads)), received=queries)

These three have fused operators, which make no tensor with a row of values for each edge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn.functional import leaky_relu

from ..errors import expected
from ..messages import State

__all__ = ["Additive", "Dot", "PerFeature", "Score"]

Score = Callable[[State, Any, Tensor | None], Tensor]


class Additive:
    """``leaky(a_u + b_v + c_e)``, one number for each head.

    Veličković et al. (2018), Graph attention networks, eq. 3, where a, b and c are products of the senders', the
    receivers' and the edges' features with one part each of the attention vector. State: `(values, a)`, with a
    `[S, heads]`; `received`: b `[R, heads]`; `edge_attr`: c `[E, heads]` or None.

    Args:
        slope: of the leaky rectifier, for negative numbers.
    """

    def __init__(self, slope: float = 0.2) -> None:
        self.slope = slope

    def __call__(self, sent: State, received: Tensor, edge: Tensor | None) -> Tensor:
        """Return the scores, `[E, heads]`."""
        z = sent[1] + received
        return leaky_relu(z if edge is None else z + edge, self.slope)


class PerFeature:
    """``a · leaky(x_u + y_v + z_e)`` for each head: the rectifier before the attention vector.

    Brody, Alon & Yahav (2022), How attentive are graph attention networks?, eq. 7. State: `(x,)`, the values, `[S,
    heads · D]`; `received`: y `[R, heads · D]`; `edge_attr`: z `[E, heads · D]` or None.

    Args:
        attention: a, `[heads, D]`.
        slope: of the leaky rectifier, for negative numbers.
    """

    def __init__(self, attention: Tensor, slope: float = 0.2) -> None:
        self.attention, self.slope = attention, slope

    def __call__(self, sent: State, received: Tensor, edge: Tensor | None) -> Tensor:
        """Return the scores, `[E, heads]`."""
        z = sent[0] + received
        z = leaky_relu(z if edge is None else z + edge, self.slope)
        scores: Tensor = (z.unflatten(1, self.attention.shape) * self.attention).sum(2)
        return scores


class Dot:
    """``scale · q_v · k_u`` for each head.

    Vaswani et al. (2017), Attention is all you need, eq. 1, over the edges of a graph. State: `(values, k)`, with k
    `[S, heads · D]`; `received`: q `[R, heads · D]`; `edge_attr`, if any, is added to k.

    Args:
        heads: number of heads.
        scale: by default 1/√D; a tensor, such as a parameter, is learnt, one number or one for each head.

    Raises:
        GraphError: on a call, heads that don't divide the keys.
    """

    def __init__(self, heads: int = 1, scale: float | Tensor | None = None) -> None:
        self.heads, self.scale = heads, scale

    def __call__(self, sent: State, received: Tensor, edge: Tensor | None) -> Tensor:
        """Return the scores, `[E, heads]`."""
        keys, heads = sent[1] if edge is None else sent[1] + edge, self.heads
        if not isinstance(heads, int) or heads < 1 or keys.size(1) % heads or keys.size(1) == 0:
            raise expected("heads", f"a number that divides the {keys.size(1)} features of the keys", heads)
        shape = heads, keys.size(1) // heads
        queries = received.unflatten(1, shape)
        scale = queries.size(2) ** -0.5 if self.scale is None else self.scale
        scores: Tensor = (queries * keys.unflatten(1, shape)).sum(2) * scale
        return scores
