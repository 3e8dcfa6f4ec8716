"""Folds of a cross-validation, each class in the same proportion in every part."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import Words, expected

__all__ = ["hold_out", "parts"]


def parts(labels: Tensor, folds: int, seed: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return training, validation and test indices of each fold; one in `folds` of the training part validates.

    Args:
        labels: int64 `[n]`.
        folds: K, at least 2 and at most the examples of the rarest class.
        seed: shuffles the examples.

    Raises:
        GraphError: too few or too many folds.

    >>> [[len(part) for part in fold] for fold in parts(torch.tensor([0, 1] * 10), 5, 0)][0]
    [13, 3, 4]
    """
    from sklearn.model_selection import StratifiedKFold

    rarest = int(torch.bincount(labels)[labels.unique()].min()) if len(labels) else 0
    if not 2 <= folds <= rarest:
        raise expected("cross_validate", f"from 2 to {rarest} folds, the examples of the rarest class", folds)
    every = labels.numpy()
    found = []
    for rest, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(every, every):
        train, val = hold_out(labels, torch.from_numpy(rest), max(1, round(len(rest) / folds)), seed)
        found.append((train, val, torch.from_numpy(np.asarray(test))))
    return found


def hold_out(labels: Tensor, indices: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Split some indices in two: the rest, and `count` of them, each class in the same proportion."""
    from sklearn.model_selection import train_test_split

    classes = len(labels[indices].unique())
    if not classes <= count <= len(indices) - classes:
        raise expected("indices", f"more examples than {classes} classes need in two parts", Words(str(len(indices))))
    rest, held = train_test_split(indices.numpy(), test_size=count, stratify=labels[indices].numpy(), random_state=seed)
    return torch.from_numpy(rest), torch.from_numpy(held)
