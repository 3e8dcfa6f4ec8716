"""Misused variables: which of a function's variables belongs at a place, from its program graph.

Allamanis, Brockschmidt & Khademi (2018), Learning to represent programs with graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ..convert import EDGES, Vocabulary, variable_places
from ..core import aggregate, reduce
from ..datasets import HiddenVariables, encode_parts, hidden_variables, variable_misuse
from ..errors import Words, expected
from ..nn import GRUCell, RGCNConv
from ..topology import Links, Topology
from ..train import Batch, LRSchedule, Optimizer, Split
from .base import Metadata, Prediction, Recipe, Source, Splits
from .programs import NodeInputs, SourceRecipe, functions_in

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["RECIPES", "VariableMisuse", "log_softmax"]

_SYNTAX = ("child", "next_token")


class VariableMisuse(SourceRecipe):
    """A gated graph network (Li et al. 2016) on program graphs, which points at one of the local variables for a place.

    The name at the place is hidden before the data flow is computed. Rows of the model are the logarithms of the
    probabilities of the best wrong candidate and of the right one, which is class 1 therefore; a tie is wrong.
    """

    summary = "the variable at a place of a function, from its program graph; built in, or a folder of your own"
    network = "gated graph network, typed edges"
    example = "def f(low, high):\n    if low > high:\n        low, high = high, low\n    return high - high"
    loss: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(lambda rows, target: -rows[:, 1])

    epochs: int = 6
    batch_size: int = 25
    optimizer: Optimizer = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.05
    schedule: LRSchedule = "cosine"
    clip_norm: float = 1.0
    limit: int = Field(default=8000, ge=0, description="number of examples to train on, at most; 0 for all")
    places: int = Field(default=3, ge=1, description="maximum number of places of a function, each an example")
    edges: Literal["all", "syntax"] = Field(
        default="all", description="the program graph's edges: all, or the tree's and those to the next token"
    )
    hidden: int = Field(default=64, ge=1, description="hidden units")
    rounds: int = Field(default=4, ge=1, description="rounds of messages")
    dropout: float = Field(default=0.2, ge=0, le=1, description="dropout probability of node vectors and states")

    def load_data(self, source: Source, seed: int) -> HiddenVariables:
        """Read the functions; the seed assigns whole modules to the splits and draws the places."""
        return variable_misuse(
            seed=seed, max_nodes=self.max_nodes, places=self.places, limit=self.limit, folder=self.folder
        )

    def metadata(self, data: HiddenVariables) -> Metadata:
        """Return the sub-tokens."""
        return {"words": list(data.vocabulary.words)}

    def model(self, metadata: Metadata) -> nn.Module:
        """Make the network."""
        return _Pointer(len(metadata["words"]) + 1, self.hidden, self.rounds, self.dropout)

    def splits(self, data: HiddenVariables, metadata: Metadata, seed: int) -> Splits:
        """Return the parts."""
        return Splits(*(_split(part, self.edges) for part in (data.train, data.val, data.test)))

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Read the functions of some source, one example for each place where a local variable is read."""
        vocabulary, graphs, about = Vocabulary(tuple(metadata["words"])), [], []
        for function in functions_in(text):
            places = variable_places(function)
            for graph, place in zip(hidden_variables(function, places), places, strict=False):
                graph.part, graph.count = encode_parts(graph.parts, vocabulary)
                graphs.append(graph)
                about.append((f"{function.name}, line {place.lineno}: {place.id}", place.id, graph.candidates))
        if not graphs:
            wanted = "Python source with functions that read one of two or more local variables"
            raise expected("input", wanted, Words("source without any"))
        made = _split(graphs, self.edges).collate(torch.arange(len(graphs)))
        every = Batch((*made.inputs[:-1], None), torch.zeros(made.inputs[-2].num_senders))
        note = f"{len(graphs):,} places read; those where another variable is more likely are listed"
        return Prediction(every, [name for name, *_ in about], places=about, note=note)

    def rows(self, scores: Tensor, read: Prediction, metadata: Metadata) -> list[dict[str, Any]]:
        """Return the places where another variable is more likely than the one that is there."""
        rows, chances = [], iter(scores[:, 0].exp().tolist())
        for name, variable, candidates in read.places:
            chance, best = max((next(chances), candidate) for candidate in candidates)
            if best != variable:
                rows.append({"input": name, "class": best, "probability": chance})
        return rows


def log_softmax(scores: Tensor, owners: Links) -> Tensor:
    """Return ``score - log Σ exp(score)`` over the candidates of each example.

    Args:
        scores: `[C, 1]`.
        owners: links from C candidates to their examples.
    """
    of = owners.edge_index[1]
    top = reduce(owners, (scores.detach(),), merge="max")[0]
    shifted = scores - top[of]
    return shifted - reduce(owners, (shifted.exp(),), merge="sum")[0].log()[of]


class _Pointer(nn.Module):
    """Rounds of a GRU over typed edges, then a score for each candidate of the states at the place and of the mean over
    the candidate's occurrences.
    """

    def __init__(self, num_parts: int, hidden_size: int, rounds: int, dropout: float) -> None:
        super().__init__()
        self.rounds = rounds
        self.inputs = NodeInputs(num_parts, hidden_size, dropout)
        self.messages = RGCNConv(hidden_size, hidden_size, 2 * len(EDGES), root_weight=False)
        self.gru = GRUCell(hidden_size, hidden_size)
        self.score = nn.Sequential(
            nn.Linear(3 * hidden_size, hidden_size), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden_size, 1)
        )

    def forward(
        self, kind: Tensor, part: Tensor, count: Tensor, topology: Topology, edge_type: Tensor, place: Tensor,
        occurrences: Links, owners: Links, right: Tensor | None,
    ) -> Tensor:  # fmt: skip
        """Return `[n, 2]`, see :class:`VariableMisuse`; without `right` `[C, 1]`, the candidates'
        log-probabilities.

        Args:
            kind: int64 `[N]`.
            part: int64 `[S]`, the sub-tokens of all nodes.
            count: int64 `[N]`, the number of those of each node.
            topology: of N nodes, with each edge in both directions.
            edge_type: int64 `[E]`.
            place: int64 `[n]`, a node of each example.
            occurrences: from nodes to candidates.
            owners: from candidates to examples.
            right: int64 `[n]`, a candidate of each example.
        """
        h = self.inputs(kind, part, count)
        for _ in range(self.rounds):
            h = self.gru(self.messages(h, topology, edge_type), h)
        (found,) = aggregate(occurrences, (h,), merge="mean")
        here = h[place][owners.edge_index[1]]
        chances = log_softmax(self.score(torch.cat([here, found, here * found], 1)), owners)
        if right is None:
            return chances
        others = chances.detach().index_fill(0, right, -torch.inf)
        return torch.cat([reduce(owners, (others,), merge="max")[0], chances[right]], 1)


def _split(graphs: Sequence[Data], edges: str) -> Split:
    wanted = torch.tensor([edges == "all" or name in _SYNTAX for name in EDGES])
    tensors = [
        (each.kind, each.part, each.count, each.edge_index[:, kept], each.edge_type[kept], each.place, each.occurrence)
        for each in graphs
        for kept in [wanted[each.edge_type]]
    ]
    amounts, right = [len(each.candidates) for each in graphs], [int(each.y) for each in graphs]

    def collate(indices: Tensor) -> Batch:
        chosen = indices.tolist()
        kind, part, count, edge, relations, place, occurrence = zip(*(tensors[i] for i in chosen), strict=True)
        sizes, options = torch.tensor([len(each) for each in kind]), torch.tensor([amounts[i] for i in chosen])
        first, begin = sizes.cumsum(0) - sizes, options.cumsum(0) - options
        edge_index = torch.cat(edge, 1) + _each(first, edge)
        where = torch.cat(occurrence, 1) + _each(torch.stack([first, begin]), occurrence)
        total, several = int(sizes.sum()), int(options.sum())
        owner = torch.arange(len(chosen)).repeat_interleave(options)
        types = torch.cat(relations)
        inputs = (
            torch.cat(kind), torch.cat(part), torch.cat(count),
            Topology.from_edge_index(torch.cat([edge_index, edge_index.flip(0)], 1), total),
            torch.cat([types, types + len(EDGES)]), torch.cat(place) + first,
            Links.between(where, total, several),
            Links.between(torch.stack([torch.arange(several), owner]), several, len(chosen)),
            torch.tensor([right[i] for i in chosen]) + begin,
        )  # fmt: skip
        return Batch(inputs, torch.ones(len(chosen), dtype=torch.int64))

    return Split(len(graphs), collate)


def _each(shift: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """Return the shift of each part for all of its columns."""
    return shift.repeat_interleave(torch.tensor([part.size(-1) for part in parts]), -1)


RECIPES: dict[str, Recipe] = {"stdlib-misuse": VariableMisuse()}
