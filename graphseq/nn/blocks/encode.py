"""Encode, process, decode."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...errors import Words, expected
from ...topology import Topology
from ..cells.base import check_sizes
from ._sets import Parts, check_block, check_returned


class GraphIndependent(nn.Module):
    """A block without messages, whose models each map a part by itself; one without a model passes unchanged.

    Battaglia et al. (2018), Relational inductive biases, deep learning, and graph networks, section 4.3, on encoders
    and decoders.

    Args:
        edge_model: a module of `[E, F_e]`.
        node_model: a module of `[N, F]`.
        global_model: a module of `[B, F_u]`.

    Raises:
        GraphError: an invalid argument, a part without features that has a model.

    >>> GraphIndependent(None, nn.Linear(3, 4))(torch.zeros(2, 3), torch.tensor([[0], [1]]))[0].shape
    torch.Size([2, 4])
    """

    def __init__(
        self, edge_model: nn.Module | None = None, node_model: nn.Module | None = None,
        global_model: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        for name, model in (("edge_model", edge_model), ("node_model", node_model), ("global_model", global_model)):
            if model is not None and not isinstance(model, nn.Module):
                raise expected(name, "a torch.nn.Module or None", model)
        self.edge_model, self.node_model, self.global_model = edge_model, node_model, global_model

    def forward(
        self, x: Tensor, edge_index: Tensor | Topology, edge_attr: Tensor | None = None, u: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Parts:  # fmt: skip
        """Return nodes, edges and globals; for the arguments see :class:`GraphNetwork`."""
        nodes = x if self.node_model is None else self.node_model(x)
        edges = _mapped("edge_attr", "edges", self.edge_model, edge_attr)
        return nodes, edges, _mapped("u", "globals", self.global_model, u)


class EncodeProcessDecode(nn.Module):
    """Encode a graph, process it in several steps with shared weights, decode each step's result:

        G_0 = encoder(G),   H_0 = G_0,   H_k = core([G_0, H_{k-1}]),   G_k' = decoder(H_k)

    where [ ] are the features of nodes, edges and globals side by side. Battaglia et al. (2018), Relational inductive
    biases, deep learning, and graph networks, section 4.3 and figure 6b; Hamrick et al. (2018), Relational inductive
    bias for physical construction in humans and machines.

    Args:
        encoder: a module with the call of a :class:`GraphNetwork`, such as :class:`GraphIndependent`.
        core: likewise; it gets each part twice as wide as the encoder returns it, and with several steps returns it as
            wide as the encoder.
        decoder: likewise.
        steps: number of steps.

    Raises:
        GraphError: an invalid argument, widths of the core that don't fit; see :class:`GraphNetwork`.

    >>> from graphseq.nn import GraphNetwork
    >>> core = GraphNetwork(nn.Linear(3 * 8, 4), nn.Linear(4 + 8, 4))
    >>> encoder, decoder = (GraphIndependent(nn.Linear(4, b), nn.Linear(4, b)) for b in (4, 2))
    >>> model = EncodeProcessDecode(encoder, core, decoder, steps=3)
    >>> model(torch.zeros(2, 4), torch.tensor([[0], [1]]), torch.zeros(1, 4))[0].shape
    torch.Size([2, 2])
    """

    def __init__(self, encoder: nn.Module, core: nn.Module, decoder: nn.Module, *, steps: int) -> None:
        super().__init__()
        check_sizes(steps=steps)
        self.encoder, self.core = check_block("encoder", encoder), check_block("core", core)
        self.decoder, self.steps = check_block("decoder", decoder), steps

    def forward(
        self, x: Tensor, edge_index: Tensor | Topology, edge_attr: Tensor | None = None, u: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> Parts:  # fmt: skip
        """Return nodes, edges and globals of the last step; for the arguments see :class:`GraphNetwork`."""
        latent = self._processed(x, edge_index, edge_attr, u, batch)[-1]
        return self._decoded(latent, edge_index, batch)

    def each_step(
        self, x: Tensor, edge_index: Tensor | Topology, edge_attr: Tensor | None = None, u: Tensor | None = None,
        batch: Tensor | None = None,
    ) -> list[Parts]:  # fmt: skip
        """Return nodes, edges and globals of every step, for a loss on each."""
        return [self._decoded(h, edge_index, batch) for h in self._processed(x, edge_index, edge_attr, u, batch)]

    def _processed(
        self, x: Tensor, edge_index: Tensor | Topology, edge_attr: Tensor | None, u: Tensor | None, batch: Tensor | None
    ) -> list[Parts]:
        first = check_returned("encoder", self.encoder(x, edge_index, edge_attr, u, batch))
        latent, states = first, []
        for _ in range(self.steps):
            nodes, edges, globals_ = (_beside(a, b) for a, b in zip(first, latent, strict=True))
            latent = check_returned("core", self.core(nodes, edge_index, edges, globals_, batch))
            if self.steps > 1:
                _check_widths(first, latent)
            states.append(latent)
        return states

    def _decoded(self, latent: Parts, edge_index: Tensor | Topology, batch: Tensor | None) -> Parts:
        nodes, edges, globals_ = latent
        return check_returned("decoder", self.decoder(nodes, edge_index, edges, globals_, batch))


def _mapped(name: str, what: str, model: nn.Module | None, part: Tensor | None) -> Tensor | None:
    if model is None:
        return part
    if part is None:
        raise expected(name, f"features, since the block has a model of {what}", part)
    out: Tensor = model(part)
    return out


def _check_widths(first: Parts, latent: Parts) -> None:
    """Check what the core returns, which is an input of the next step.

    Raises:
        GraphError: a part is not as wide as the encoder returns it.
    """
    for what, a, b in zip(("nodes", "edges", "globals"), first, latent, strict=True):
        if a is not None and b is not None and a.size(1) != b.size(1):
            wanted = f"a block that returns {what} {a.size(1)} wide, as the encoder does, for several steps"
            raise expected("core", wanted, Words(f"one that returns them {b.size(1)} wide"))


def _beside(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    there = [part for part in (a, b) if part is not None]
    return torch.cat(there, 1) if there else None
