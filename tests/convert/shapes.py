"""Random trees as nested tuples, their text, and the fields of a tree, for the tests of `convert`."""

import torch
from hypothesis import strategies as st

from graphseq.convert import read_trees

LABEL = st.sampled_from(["S", "NP", "VP", "PP", "NN", "VB", "CC", "DT", "POS", "X"])
WORD = st.text(st.characters(codec="utf-8", exclude_characters="() \t\r\n"), min_size=1, max_size=3)


def nested(label=LABEL, *, max_children=4):
    """(label, word) or (label, [child, …])."""
    leaf = st.tuples(label, WORD)
    return st.recursive(
        leaf, lambda tree: st.tuples(label, st.lists(tree, min_size=1, max_size=max_children)), max_leaves=12
    )


def text_of(tree):
    label, below = tree
    return f"({label} {below if isinstance(below, str) else ' '.join(map(text_of, below))})"


def data_of(tree):
    [data] = read_trees(text_of(tree))
    return data


def nested_of(data):
    """The nested tuples of a tree, from its edges."""
    children = {v: [] for v in range(data.num_nodes)}
    for child, parent in data.edge_index.t().tolist():
        children[parent].append(child)
    words = iter(data.tokens)

    def node(v):
        return data.labels[v], [node(c) for c in children[v]] if children[v] else next(words)

    return node(0)


def fields(data):
    """What a tree has, tensors as lists, to compare two."""
    values = {key: data[key] for key in data.keys()}  # noqa: SIM118
    return {key: value.tolist() if isinstance(value, torch.Tensor) else value for key, value in values.items()}


def storages(data):
    return {value.data_ptr() for value in data.to_dict().values() if isinstance(value, torch.Tensor) and value.numel()}
