"""Your own trees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ..convert import Vocabulary
from ..datasets.own import Columns, Examples, Record, json_records, read_forest, tree_of, trees_of
from ..errors import Words, expected
from ..nn import TreeClassifier
from ..nn.models import cells
from ..train import LRSchedule, Optimizer, Split, tree_split
from .base import Metadata, Recipe
from .own import OwnRecipe, one_of

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["RECIPES", "TreeRecipe"]


class TreeRecipe(OwnRecipe):
    """Trees from JSON lines or bracketed text, with a label at the nodes or of the whole tree.

    Where nodes have labels, the network learns from all of them, and is evaluated at the roots.
    """

    summary = "classes of trees and of their nodes; your own JSON lines or bracketed trees"
    network = "recursive"
    input = "a tree as (label (label word) (label word)) or JSON, or a file of trees"
    columns = "tree_column"
    suffixes = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".txt", ".ptb", ".mrg", ".tree", ".trees")

    epochs: int = 20
    batch_size: int = 25
    optimizer: Optimizer = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.01
    schedule: LRSchedule = "cosine"
    clip_norm: float = 1.0
    tree_column: str = Field(default="", description="column or key of the trees; by default tree")
    cell: Annotated[str, *one_of("cell", list(cells()))] = Field(
        default="child-sum-tree-lstm", description="the cell that is swept from the leaves to the root"
    )
    embedding: int = Field(default=100, ge=1, description="size of the word vectors")
    hidden: int = Field(default=100, ge=1, description="hidden units")
    dropout: float = Field(default=0.5, ge=0, le=1, description="dropout probability of word vectors and states")
    unknown: float = Field(default=0.1, ge=0, le=1, description="share of words made unknown in training")
    root_weight: float = Field(default=3.0, ge=0, description="weight of a root in the loss; other nodes have 1")

    def examples(self, path: Path, argument: str, labelled: bool, metadata: Metadata | None) -> Examples:
        """Read a file of trees."""
        outer = None if metadata is None else metadata["outer"]
        found = read_forest(path, self._columns(labelled), argument, outer=outer)
        return self._fitting(found, metadata, argument)

    def from_text(self, text: str, metadata: Metadata) -> Examples:
        """Read one tree."""
        text = text.strip()
        if text.startswith("("):
            records = [Record("input", {"": text})]
        else:
            records = list(json_records(text, "input", lines=False)) if text[:1] in '[{"' else []
        if len(records) != 1:
            raise expected("input", self.input, Words(text[:80]))
        record = records[0]
        tree = tree_of(record, self.tree_column if self.tree_column in record.fields else "")
        found = trees_of([(record, tree)], Columns(labelled=False), metadata["outer"])
        return self._fitting(found, metadata, "input")

    def _fitting(self, examples: Examples, metadata: Metadata | None, argument: str) -> Examples:
        most = None if metadata is None or not self.cell.startswith("nary") else metadata["arity"]
        for tree, place in zip(examples.items, examples.places, strict=True):
            if most is not None and tree.arity > most:
                raise expected(argument, f"at most {most} children, as in training", Words(f"{tree.arity} in {place}"))
        return examples

    def all_labels(self, examples: Examples) -> list[str | None]:
        """Return the labels of all nodes."""
        return [label for tree in examples.items for label in tree.labels]

    def learn(self, train: Examples) -> Metadata:
        """Return the words, the most children of a node, and whether labels are of whole trees."""
        if self.target == "number":
            raise expected("target", "class, for trees", self.target)
        words = Vocabulary.build(word for tree in train.items for word in tree.words if word)
        outer = train.about == ["labels of whole trees"]
        return {"words": list(words.words), "arity": max(tree.arity for tree in train.items) or 1, "outer": outer}

    def note(self, examples: Examples, metadata: Metadata) -> str:
        """Say how many trees have no known word."""
        known = set(metadata["words"])
        lost = sum(any(tree.words) and not known.intersection(tree.words) for tree in examples.items)
        count = "the tree" if len(examples) == 1 else f"{lost:,} of {len(examples):,} trees"
        return f"{count} without a word of the training part" if lost else ""

    def network_of(self, metadata: Metadata, outputs: int) -> nn.Module:
        """Make the network."""
        made = TreeClassifier(
            len(metadata["words"]) + 1, self.embedding, self.hidden, outputs, cell=self.cell, arity=metadata["arity"],
            dropout=self.dropout, unknown=self.unknown,
        )  # fmt: skip
        nn.init.normal_(made.embedding.weight, std=0.1)
        return made

    def split(self, examples: Examples, metadata: Metadata, y: Tensor, weight: Tensor | None, use: str) -> Split:
        """Return some trees."""
        vocabulary = Vocabulary(tuple(metadata["words"]))
        index = set(metadata["classes"])
        for tree, place in zip(examples.items, examples.places, strict=True):
            if use in ("train", "evaluate") and (lost := {label for label in tree.labels if label} - index):
                raise expected("data", "labels of the training part", Words(f"{min(lost)!r} in {place}"))
        trees = [tree.data(vocabulary, metadata["classes"]) for tree in examples.items]
        if use in ("predict", "nodes"):
            for data in trees:
                data.y = torch.zeros_like(data.y)
        on = {"train": "roots" if metadata["outer"] else "nodes", "nodes": "nodes"}.get(use, "roots")
        return tree_split(trees, on=on, root_weight=self.root_weight, weight=weight)

    def names(self, examples: Examples, use: str) -> Sequence[str]:
        """Return the words at and below each node, or the root alone."""
        if use == "predict":
            return examples.names
        return [
            phrase or f"{place}, node {node}"
            for tree, place in zip(examples.items, examples.places, strict=True)
            for node, phrase in enumerate(tree.phrases())
        ]

    def structures(self, examples: Examples, metadata: Metadata) -> list[Data]:
        """Return the trees, with their leaves' words."""
        made = []
        for tree in examples.items:
            data = tree.data(Vocabulary(tuple(metadata["words"])), metadata["classes"])
            inner = set(tree.parent)
            data.tokens = [word or "" for node, word in enumerate(tree.words) if node not in inner]
            made.append(data)
        return made

    def depths(self, examples: Examples) -> Sequence[int]:
        """Return the depth of each node."""
        return [depth for tree in examples.items for depth in tree.depths()]


RECIPES: dict[str, Recipe] = {"tree": TreeRecipe()}
