"""Handwritten digits as sequences of pixels, built into scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import expected

if TYPE_CHECKING:
    from torch_geometric.data import Data

__all__ = ["digits"]


def digits(*, seed: int = 0, val: float = 0.15, test: float = 0.15) -> Data:
    """Return the 1,797 handwritten digits of 8 × 8 pixels, each a sequence of 64 pixels, row by row.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository (1998), CC BY 4.0: its test part, as scikit-learn ships it.

    Args:
        seed: of the split, which has every class in the same proportion in each part.
        val: share of the digits for validation.
        test: share of the digits for test; the rest is for training.

    Returns:
        ``Data`` with ``x`` float32 [1797, 64, 1], 0 for white to 1 for ink; ``y`` int64 [1797], the digit;
        ``train_mask``, ``val_mask`` and ``test_mask`` bool [1797].

    Raises:
        GraphError: the seed is negative, a share is not positive, or nothing is left for training.

    >>> data = digits()
    >>> data.x.shape, int(data.train_mask.sum()), int(data.val_mask.sum()), int(data.test_mask.sum())
    (torch.Size([1797, 64, 1]), 1257, 270, 270)
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from torch_geometric.data import Data

    if not 0 <= seed < 2**32:
        raise expected("seed", "an integer from 0 to 2**32 - 1", seed)
    for name, share in (("val", val), ("test", test)):
        if not 0 < share < 1:
            raise expected(name, "a share between 0 and 1", share)
    if val + test >= 1:
        raise expected("val", f"a share below 1 - test={test}", val)
    pixels, y = load_digits(return_X_y=True)
    count = len(y)
    held_out = round(val * count) + round(test * count)
    train, rest = train_test_split(np.arange(count), test_size=held_out, stratify=y, random_state=seed)
    dev, final = train_test_split(rest, test_size=round(test * count), stratify=y[rest], random_state=seed)

    data = Data(x=torch.from_numpy(pixels).float().div(16).unsqueeze(-1), y=torch.from_numpy(y))
    for name, chosen in (("train_mask", train), ("val_mask", dev), ("test_mask", final)):
        data[name] = torch.zeros(count, dtype=torch.bool).index_fill(0, torch.from_numpy(chosen), True)
    return data
