import numpy as np
import pytest
import torch

from graphseq.datasets import digits
from graphseq.errors import GraphError

load_digits = pytest.importorskip("sklearn.datasets").load_digits


def test_are_the_pixels_row_by_row():
    data = digits()
    images, y = load_digits().images, load_digits().target
    assert data.x.shape == (1797, 64, 1) and data.x.dtype == torch.float32
    assert np.allclose(data.x.numpy().reshape(-1, 8, 8) * 16, images)
    assert (float(data.x.min()), float(data.x.max())) == (0, 1)
    assert np.array_equal(data.y.numpy(), y) and data.y.dtype == torch.int64


def test_splits():
    data = digits(seed=1, val=0.1, test=0.2)
    masks = torch.stack([data.train_mask, data.val_mask, data.test_mask])
    assert masks.dtype == torch.bool and bool((masks.sum(0) == 1).all())
    assert masks.sum(1).tolist() == [1797 - 180 - 359, 180, 359]
    share = torch.bincount(data.y) / len(data.y)
    for mask in masks:
        assert bool(((torch.bincount(data.y[mask]) / mask.sum() - share).abs() < 0.006).all())
    assert torch.equal(digits(seed=1, val=0.1, test=0.2).test_mask, data.test_mask)
    assert not torch.equal(digits(seed=2, val=0.1, test=0.2).test_mask, data.test_mask)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"val": 0}, "val"),
        ({"seed": -1}, "seed"),
        ({"test": 1.5}, "test"),
        ({"val": 0.5, "test": 0.5}, "val"),
    ],
)
def test_bad_arguments(options, argument):
    with pytest.raises(GraphError, match=f"`{argument}`: expected"):
        digits(**options)
