"""Ready splits of lists: graphs, trees, sequences and texts are split into training, validation and test."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..convert import Vocabulary, tokenize
from ..errors import DataWarning, Words, describe, expected
from ..topology import Topology
from .collate import chain_split, check_graphs, check_nodes, check_trees, graph_split, node_split, tree_split
from .task import Split

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = [
    "Splits", "class_names", "class_weights", "deal", "graph_splits", "node_splits", "sequence_splits", "text_splits",
    "tree_splits",
]  # fmt: skip

Parts = Sequence[Sequence[int] | Tensor]


class Splits(NamedTuple):
    """The parts of the data: ``Task(model, *splits)`` takes them."""

    train: Split
    val: Split | None
    test: Split | None


class LabelledSplits(Splits):
    """Splits with what was computed from the data: ``classes``, the labels as they were given, in order, and for texts
    ``vocabulary``.
    """

    classes: list[Any]
    vocabulary: Vocabulary


def deal(labels: Tensor | int, *, val: float = 0.1, test: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Assign examples to training, validation and test at random, each class in about the same proportion.

    The first example drawn of a class is for training, so a rare class is never only in the other parts.

    Args:
        labels: the class of each example, int64 `[n]`; or n, where there are no classes.
        val: share of the validation part, 0 for none.
        test: share of the test part, 0 for none.
        seed: of the assignment.

    Returns:
        The indices of each part, ascending, int64.

    Raises:
        GraphError: shares that are negative or leave nothing to train on, too few examples.

    >>> [len(part) for part in deal(torch.tensor([0] * 80 + [1] * 20))]
    [80, 10, 10]
    """
    for name, share in (("val", val), ("test", test)):
        if not isinstance(share, int | float) or not 0 <= share < 1:
            raise expected(name, "a share from 0 to 1, such as 0.1", share)
    if val + test >= 1:
        raise expected("val", "shares of val and test that leave some for training", Words(f"{val} and {test}"))
    y = torch.zeros(labels, dtype=torch.int64) if isinstance(labels, int) else labels
    n = len(y)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    order = order[y[order].argsort(stable=True)]
    first = torch.ones(n, dtype=torch.bool)
    first[1:] = y[order][1:] != y[order][:-1]
    kept, rest = order[first], order[~first]
    counts = [max(1, round(share * n)) if share else 0 for share in (val, test)]
    if sum(counts) > len(rest):
        what = "shares of val and test that leave one example of each class for training; a share of 0 omits a part"
        of = "" if isinstance(labels, int) else f" in {len(kept)} classes"
        if len(kept) > n // 2:
            of += "; most are alone in their class, as if another column had the labels"
        raise expected("val", what, Words(f"shares that take {sum(counts)} of {n} examples{of}"))
    rest, held = _spread(rest, sum(counts))
    chosen, tested = _spread(held, counts[1])
    train = torch.cat([kept, rest])
    return train.sort().values, chosen.sort().values, tested.sort().values


def _spread(order: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Split a list in two: `count` of its entries, evenly spaced, are the second part."""
    n = len(order)
    taken = (torch.arange(n + 1) * count + n // 2).div(max(n, 1), rounding_mode="floor").diff() > 0
    return order[~taken], order[taken]


def class_names(labels: Sequence[Any]) -> list[Any]:
    """Return the different labels in their natural order: numbers by size, ``"a2"`` before ``"a10"``.

    >>> class_names(["10", "9", "b", "9"])
    ['9', '10', 'b']
    """

    def key(label: Any) -> Any:
        text = str(label).strip()
        if re.fullmatch(r"[-+]?\d+(\.\d*)?", text):
            return [(0, float(text), "")], text
        parts = re.split(r"(\d+)", text.casefold())
        return [(0, float(p), "") if p.isdecimal() else (1, 0.0, p) for p in parts if p], text

    return sorted(set(labels), key=key)


def class_weights(y: Tensor) -> Tensor:
    """Return a weight for each example, such that all classes have the same total weight and the mean weight is 1.

    >>> class_weights(torch.tensor([0, 0, 0, 1]))
    tensor([0.6667, 0.6667, 0.6667, 2.0000])
    """
    count = torch.bincount(y)
    return len(y) / (count[y] * (count > 0).sum())


def graph_splits(
    graphs: Sequence[Data], *, val: float = 0.1, test: float = 0.1, seed: int = 0, parts: Parts | None = None,
    edges: str = "topology", edge_attr: bool = False,
) -> Splits:  # fmt: skip
    """Return splits of labelled graphs, for models that are called as ``model(x, topology)``, or with
    ``edges="edge_index"`` as ``model(x, edge_index, batch)``.

    Args:
        graphs: PyG ``Data`` with ``x`` `[N, F]`, ``edge_index``, ``y`` with one entry, int64 for a class, and
            optionally ``edge_weight`` `[E]` and ``edge_attr`` `[E, D]`.
        val: share of the validation part; 0 for none.
        test: share of the test part; 0 for none.
        seed: of the assignment; classes are in the same proportion in all parts.
        parts: the indices of training, validation and test examples, or masks, in place of shares.
        edges: "topology", which graphseq's layers take, or "edge_index", which PyG's take, too.
        edge_attr: whether to pass the features of edges, see :func:`graph_split`.

    Raises:
        GraphError: too few graphs, or graphs with different attributes.

    >>> from torch_geometric.data import Data
    >>> edges = torch.tensor([[0, 1], [1, 0]])
    >>> graphs = [Data(x=torch.eye(2), edge_index=edges, y=torch.tensor([i % 2])) for i in range(20)]
    >>> train, val, test = graph_splits(graphs)
    >>> train.size, val.size, test.size
    (16, 2, 2)
    """
    _some(graphs, "graphs")
    _warn_of_unused(graphs, edge_attr)
    check_graphs(graphs, edge_attr=edge_attr)  # all of them, so that messages have the caller's numbers
    make = partial(graph_split, edges=edges, edge_attr=edge_attr)
    return _splits(graphs, _classes([graph.y for graph in graphs]), make, val, test, seed, parts)


def tree_splits(
    trees: Sequence[Data], *, inputs: Sequence[str] = ("word",), on: str = "nodes", root_weight: float = 1.0,
    val: float = 0.1, test: float = 0.1, seed: int = 0, parts: Parts | None = None,
) -> Splits:  # fmt: skip
    """Return splits of labelled trees, for models that are called as ``model(word, topology)``.

    Args:
        trees: PyG ``Data`` as :func:`graphseq.convert.read_trees` makes them, with ``y`` and the tensors `inputs`.
        inputs: the nodes' tensors that the model takes.
        on: "nodes": learn from each labelled node and evaluate the roots; "roots": only the roots count; "trees": y
            and the model's output have one entry per tree.
        root_weight: weight of a root in the loss; other nodes have 1.
        val: share of the validation part; 0 for none.
        test: share of the test part; 0 for none.
        seed: of the assignment; the roots' classes are in the same proportion in all parts.
        parts: the indices of training, validation and test examples, or masks, in place of shares.

    Raises:
        GraphError: too few trees, or some without labels or inputs.
    """
    _some(trees, "trees")
    check_trees(trees, (*inputs, "y"))
    y = [tree.y[_root(tree) : _root(tree) + 1] if on != "trees" else tree.y for tree in trees]

    def make(some: Sequence[Data], learning: bool = False) -> Split:
        where = "roots" if on == "nodes" and not learning else on
        return tree_split(some, inputs=inputs, on=where, root_weight=root_weight)

    return _splits(trees, _classes(y), make, val, test, seed, parts, taught=lambda some: make(some, True))


def _root(tree: Data) -> int:
    leaving = torch.bincount(tree.edge_index[0], minlength=int(tree.num_nodes))
    return int((leaving == 0).nonzero()[0, 0])


def sequence_splits(
    sequences: Sequence[Tensor], labels: Sequence[Any] | Tensor, *, val: float = 0.1, test: float = 0.1, seed: int = 0,
    parts: Parts | None = None,
) -> LabelledSplits:  # fmt: skip
    """Return splits of labelled sequences, for models that are called as ``model(x, topology)``.

    Args:
        sequences: `[T, F]` each, of any lengths.
        labels: the class of each, of any type; or a floating-point tensor of numbers to predict.
        val: share of the validation part; 0 for none.
        test: share of the test part; 0 for none.
        seed: of the assignment; classes are in the same proportion in all parts.
        parts: the indices of training, validation and test examples, or masks, in place of shares.

    Returns:
        The splits, with ``classes``.

    >>> splits = sequence_splits([torch.zeros(t, 3) for t in range(1, 11)], ["short"] * 5 + ["long"] * 5)
    >>> splits.classes, splits.train.size
    (['long', 'short'], 8)
    """
    _some(sequences, "sequences", labels)
    for i, sequence in enumerate(sequences):
        if not isinstance(sequence, Tensor) or sequence.dim() != 2 or sequence.shape[1:] != sequences[0].shape[1:]:
            first = sequences[0]
            width = first.size(1) if isinstance(first, Tensor) and first.dim() == 2 else "F"
            raise expected(f"sequences[{i}]", f"a tensor of shape [T, {width}]", sequence)
        if not len(sequence):
            raise expected(f"sequences[{i}]", "at least one step", sequence)
    y, classes = _indices(labels)
    values, sizes = torch.cat(list(sequences)), torch.tensor([len(sequence) for sequence in sequences])
    made = LabelledSplits(*_chains(values, sizes, y, val, test, seed, parts))
    made.classes = classes
    return made


def text_splits(
    texts: Sequence[str], labels: Sequence[Any] | Tensor, *, val: float = 0.1, test: float = 0.1, seed: int = 0,
    parts: Parts | None = None, min_count: int = 1,
) -> LabelledSplits:  # fmt: skip
    """Return splits of labelled texts, for models that are called as ``model(words, topology)``.

    Args:
        texts: cut into words by :func:`graphseq.convert.tokenize`, and lower-cased.
        labels: the class of each, of any type; or numbers with a fraction, a floating-point tensor, to be predicted.
        val: share of the validation part; 0 for none.
        test: share of the test part; 0 for none.
        seed: of the assignment; classes are in the same proportion in all parts.
        parts: the indices of training, validation and test examples, or masks, in place of shares.
        min_count: words that are less frequent in the training part are unknown.

    Returns:
        The splits, with ``classes`` and ``vocabulary``, which is that of the training part.

    Example::

        splits = train.text_splits(texts, labels)
        model = nn.TextClassifier(len(splits.vocabulary), 100, 100, len(splits.classes))
        train.fit(train.Task(model, *splits), train.Training(epochs=5, batch_size=32))
    """
    _some(texts, "texts", labels)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise expected(f"texts[{i}]", "a text", text)
    words = [tokenize(text) or [""] for text in texts]  # an empty text is one unknown word
    y, classes = _indices(labels)
    if parts is None:
        parts = deal(len(y) if y.is_floating_point() else y, val=val, test=test, seed=seed)
    else:
        parts = _checked(parts, len(texts))
    taught = (word for i in torch.as_tensor(parts[0]).tolist() for word in words[i] if word)
    vocabulary = Vocabulary.build(taught, min_count=min_count, lower=True)
    flat = torch.tensor([i for each in words for i in vocabulary.encode(each)])
    sizes = torch.tensor([len(each) for each in words])
    made = LabelledSplits(*_chains(flat, sizes, y, val, test, seed, parts))
    made.classes, made.vocabulary = classes, vocabulary
    return made


def node_splits(
    data: Data, *, val: float = 0.1, test: float = 0.1, seed: int = 0, parts: Parts | None = None, x: Any = None,
    edges: str = "topology", edge_attr: bool = False,
) -> Splits:  # fmt: skip
    """Return splits of one graph's nodes, for models that are called as ``model(x, topology)``, or with
    ``edges="edge_index"`` as ``model(x, edge_index)``.

    Args:
        data: PyG ``Data`` with ``x`` `[N, F]`, ``edge_index`` and ``y`` `[N]`, -1 for an unlabelled node; where it
            has ``train_mask``, ``val_mask`` and ``test_mask``, they are the parts.
        val: share of the labelled nodes for validation; 0 for none.
        test: share of the labelled nodes for test; 0 for none.
        seed: of the assignment; classes are in the same proportion in all parts.
        parts: the nodes for training, validation and test, or masks, in place of shares.
        x: the features in a different form, such as :class:`graphseq.nn.SparseFeatures`.
        edges: "topology", which graphseq's layers take, or "edge_index", which PyG's take, too.
        edge_attr: whether to pass the features of edges, see :func:`node_split`.

    Raises:
        GraphError: no `Data` with x and y of its nodes; classes of another shape; as of :func:`deal`.
    """
    check_nodes(data, ("x", "y") if x is None else ("y",))
    if parts is None and all(isinstance(data.get(f"{part}_mask"), Tensor) for part in ("train", "val", "test")):
        parts = [data[f"{part}_mask"] for part in ("train", "val", "test")]
    if parts is None:
        if data.y.dim() != 1:
            turned = "squeeze(1)" if data.y.shape[1:] == (1,) else "argmax(1)"
            got = Words(f"{describe(data.y)}; data.y.{turned} may be meant")
            raise expected("data.y", f"classes, int64 of shape [{data.num_nodes}], where `parts` is None", got)
        labelled = (data.y >= 0).nonzero()[:, 0]
        parts = [labelled[i] for i in deal(data.y[labelled], val=val, test=test, seed=seed)]
    _warn_of_unused([data], edge_attr)
    topology = Topology.from_data(data)  # one, compiled once, for all parts
    make = partial(node_split, data, x=x, topology=topology, edges=edges, edge_attr=edge_attr)
    dealt = _checked(parts, int(data.num_nodes))
    return Splits(*(make(part) if len(part) else None for part in dealt))  # type: ignore[arg-type]


def _warn_of_unused(graphs: Sequence[Any], edge_attr: bool) -> None:
    if not edge_attr and any(isinstance(graph.get("edge_attr"), Tensor) for graph in graphs if hasattr(graph, "get")):
        warnings.warn("edge_attr is not used; edge_attr=True passes it to the model", DataWarning, stacklevel=3)


def _chains(
    values: Tensor, sizes: Tensor, y: Tensor, val: float, test: float, seed: int, parts: Parts | None
) -> Splits:
    every = list(range(len(sizes)))
    cut = values.split(sizes.tolist())

    def make(some: Sequence[int]) -> Split:
        chosen = torch.tensor(some)
        return chain_split(torch.cat([cut[i] for i in some]), sizes[chosen], y[chosen])

    return _splits(every, y if not y.is_floating_point() else len(y), make, val, test, seed, parts)


def _splits(
    examples: Sequence[Any], labels: Tensor | int, make: Callable[[Sequence[Any]], Split], val: float, test: float,
    seed: int, parts: Parts | None, *, taught: Callable[[Sequence[Any]], Split] | None = None,
) -> Splits:  # fmt: skip
    """Return the splits of examples, given a function that makes a split, and optionally another one for training."""
    dealt = deal(labels, val=val, test=test, seed=seed) if parts is None else _checked(parts, len(examples))
    made = []
    for k, part in enumerate(dealt):
        how = taught if taught is not None and not k else make
        split = how([examples[i] for i in part.tolist()]) if len(part) or not k else None
        made.append(split and replace(split, origin=part))
    return Splits(*made)  # type: ignore[arg-type]


def _checked(parts: Parts, count: int) -> list[Tensor]:
    """Return the indices of three parts, which must not overlap.

    Raises:
        GraphError: not three parts, an index out of range, an example in two parts, nothing to train on.
    """
    found = [torch.as_tensor(part) for part in parts]
    found = [part.nonzero()[:, 0] if part.dtype == torch.bool else part.long() for part in found]
    if len(found) != 3:
        raise expected("parts", "indices of training, validation and test examples", Words(f"{len(found)} parts"))
    every = torch.cat(found)
    if len(every) and not 0 <= int(every.min()) <= int(every.max()) < count:
        raise expected("parts", f"indices from 0 to {count - 1}", Words(f"{int(every.min())} to {int(every.max())}"))
    if len(every.unique()) < len(every):
        raise expected("parts", "each example in one part", Words("one that comes twice"))
    if not len(found[0]):
        raise expected("parts", "at least one training example", Words("none"))
    return found


def _some(examples: Sequence[Any], name: str, labels: Any = None) -> None:
    listed = hasattr(examples, "__len__") and hasattr(examples, "__getitem__")
    if isinstance(examples, str) or not listed or hasattr(examples, "edge_index"):
        what = "a list, such as a loader's `dataset`" if hasattr(examples, "dataset") else "a list"
        raise expected(name, what, examples)
    if not len(examples):
        raise expected(name, "at least one", Words("none"))
    if labels is not None and len(labels) != len(examples):
        raise expected("labels", f"{len(examples)}, one for each of `{name}`", Words(str(len(labels))))


def _indices(labels: Sequence[Any] | Tensor) -> tuple[Tensor, list[Any]]:
    """Return the class of each label, and the classes; of a floating-point tensor the numbers, and no classes."""
    if isinstance(labels, Tensor) and labels.is_floating_point():
        return labels, []
    listed = labels.tolist() if hasattr(labels, "tolist") else list(labels)
    classes = class_names(listed)
    index = {label: i for i, label in enumerate(classes)}
    return torch.tensor([index[label] for label in listed]), classes


def _classes(y: Sequence[Tensor]) -> Tensor | int:
    """Return targets as classes to stratify by; if they are not classes, their number."""
    if all(not t.is_floating_point() and t.numel() == 1 for t in y):
        return torch.cat([t.reshape(1) for t in y])
    return len(y)
