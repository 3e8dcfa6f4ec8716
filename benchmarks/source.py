"""What sees no structure, or little, on the tasks of source code: to be set beside the recipes' networks."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from graphseq.convert import KINDS
from graphseq.datasets import NamedFunctions, bag_of_kinds, function_names, stdlib_functions, variable_misuse
from graphseq.recipes import find_recipe
from graphseq.recipes.names import label_loss
from graphseq.train import Batch, Split, Task, Training, fit, measure

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["misuses", "names", "verbs"]

Row = dict[str, Any]
SEEDS = range(3)


def verbs() -> list[Row]:
    """Return what sees no structure on the verbs of functions."""
    values: dict[str, list[float]] = {"majority class": [], "logistic regression on counts of node kinds": []}
    for seed in SEEDS:
        functions = stdlib_functions(seed=seed)
        y = [torch.cat([tree.y for tree in part]) for part in (functions.train, functions.test)]
        x = [bag_of_kinds(part).log1p() for part in (functions.train, functions.test)]
        majority, logistic = values.values()
        majority.append(100 * float((y[1] == y[0].mode().values).float().mean()))
        logistic.append(100 * float(LogisticRegression(max_iter=2000).fit(x[0], y[0]).score(x[1], y[1])))
    return _rows("stdlib", "accuracy", values)


def names() -> list[Row]:
    """Return the most frequent sub-tokens, as many as are best on the validation part, and a linear layer on counts of
    kinds and sub-tokens, trained with the loss and selected by the metric of the recipe.
    """
    values: dict[str, list[float]] = {"most frequent sub-tokens": [], "linear layer on counts of kinds, sub-tokens": []}
    for seed in SEEDS:
        recipe = find_recipe("stdlib-names")
        data = function_names(seed=seed, max_nodes=recipe.max_nodes, limit=recipe.limit)
        frequent, linear = values.values()
        frequent.append(_frequent(data))
        splits = [_bags(part, len(data.names)) for part in (data.train, data.val, data.test)]
        torch.manual_seed(seed)
        model = _Linear(len(KINDS) + len(data.vocabulary), len(data.names))
        settings = Training(epochs=20, batch_size=100, lr=5e-3, schedule="cosine", select="metric")
        task = Task(model, *splits, loss=label_loss, metrics=("subtoken_f1",))
        linear.append(fit(task, settings, seed=seed).test["subtoken_f1"])
    return _rows("stdlib-names", "subtoken_f1", values)


def misuses() -> list[Row]:
    """Return the candidate that occurs last before the place, and the one that occurs most often."""
    values: dict[str, list[float]] = {"candidate used last before the place": [], "most frequent candidate": []}
    for seed in SEEDS:
        recipe = find_recipe("stdlib-misuse")
        options = {name: getattr(recipe, name) for name in ("max_nodes", "places", "limit")}
        test = variable_misuse(seed=seed, **options).test
        for found, rule in zip(values.values(), (_last, _most), strict=True):
            found.append(100 * statistics.fmean(rule(graph) == int(graph.y) for graph in test))
    return _rows("stdlib-misuse", "accuracy", values)


def _last(graph: Data) -> int:
    nodes, candidates = graph.occurrence
    before = candidates[nodes < graph.place]
    return int(before[-1] if len(before) else candidates[0])


def _most(graph: Data) -> int:
    return int(graph.occurrence[1].bincount().argmax())


def _frequent(data: NamedFunctions) -> float:
    counts = Counter(label for tree in data.train for label in tree.y.tolist() if label)
    order = torch.tensor([label for label, _ in counts.most_common(5)])

    def f1(part: Sequence[Data], count: int) -> float:
        target = torch.stack([_target(tree, len(data.names)) for tree in part])
        scores = -torch.ones_like(target)
        scores[:, order[:count]] = 1.0
        return measure(["subtoken_f1"], scores, target)["subtoken_f1"]

    return f1(data.test, max(range(1, 6), key=lambda count: f1(data.val, count)))


def _target(tree: Data, num_labels: int) -> Tensor:
    return torch.bincount(tree.y, minlength=num_labels).float()


class _Linear(nn.Module):
    """A linear layer whose inputs are mostly 0: the indices of the others, their values, and where each row begins."""

    def __init__(self, num_features: int, num_labels: int) -> None:
        super().__init__()
        self.weight = nn.EmbeddingBag(num_features, num_labels, mode="sum")
        self.bias = nn.Parameter(torch.full((num_labels,), -5.0))
        nn.init.zeros_(self.weight.weight)

    def forward(self, index: Tensor, value: Tensor, begin: Tensor) -> Tensor:
        scores: Tensor = self.weight(index, begin, per_sample_weights=value)
        return scores + self.bias


def _bags(trees: Sequence[Data], num_labels: int) -> Split:
    """Return a split whose inputs are ``log(1 + count)`` of each kind and each sub-token in a tree."""
    bags = [torch.cat([tree.kind, tree.part + len(KINDS)]).unique(return_counts=True) for tree in trees]

    def collate(indices: Tensor) -> Batch:
        chosen = indices.tolist()
        index, count = (torch.cat(parts) for parts in zip(*(bags[i] for i in chosen), strict=True))
        sizes = torch.tensor([len(bags[i][0]) for i in chosen])
        target = torch.stack([_target(trees[i], num_labels) for i in chosen])
        return Batch((index, count.float().log1p(), sizes.cumsum(0) - sizes), target)

    return Split(len(trees), collate)


def _rows(name: str, metric: str, values: dict[str, list[float]]) -> list[Row]:
    return [
        {"name": name, "network": network, "split": "test", "metric": metric, "values": each,
         "mean": statistics.fmean(each), "std": statistics.stdev(each) if len(each) > 1 else 0.0, "baseline": True}
        for network, each in values.items()
    ]  # fmt: skip
