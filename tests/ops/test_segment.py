"""Reducing rows that lie next to each other against plain loops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq.messages import MERGES
from graphseq.ops.segments import Segments
from tests.oracles import TOLERANCE, assert_agree, assert_close, leaf
from tests.strategies import examples

REDUCE = {
    "sum": lambda rows: rows.sum(0),
    "mean": lambda rows: rows.mean(0),
    "max": lambda rows: rows.amax(0),
    "min": lambda rows: rows.amin(0),
}
DTYPES = [torch.float32, torch.float64, torch.bfloat16]


def reduced(values, ptr, reduce):
    """By a merge of the library, with segments that know where they begin and with such that don't."""
    index = torch.repeat_interleave(torch.arange(ptr.numel() - 1), ptr.diff())
    out = MERGES[reduce].reduce(values, Segments(index, ptr.numel() - 1, ptr), None)
    other = MERGES[reduce].reduce(values, Segments(index, ptr.numel() - 1), None)
    near = {torch.float64: 1e-11, torch.float32: 5e-6, torch.bfloat16: 1e-2}[values.dtype]
    torch.testing.assert_close(out, other, rtol=near, atol=near, equal_nan=True)
    return out


SIZES = st.lists(st.integers(0, 4), max_size=5)


def pointers(sizes):
    return torch.tensor([0, *torch.tensor(sizes, dtype=torch.int64).cumsum(0).tolist()])


def brute_force(values, sizes, reduce):
    parts = values.split(sizes) if sizes else ()
    empty = values.new_zeros(values.shape[1:])
    rows = [REDUCE[reduce](part) if part.size(0) else empty for part in parts]
    return torch.stack(rows) if rows else values.new_zeros(0, *values.shape[1:])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduce", REDUCE)
@given(sizes=SIZES, shape=st.sampled_from([(), (1,), (3,), (2, 2), (0,), (2, 0)]))
@examples(40)
def test_brute_force(dtype, reduce, sizes, shape):
    values = leaf(sum(sizes), *shape, dtype=dtype)
    if reduce == "max":  # without ties, which are frequent in 16 bits, and whose gradient the oracle divides
        with torch.no_grad():
            values.copy_(torch.randperm(values.numel()).view(values.shape) / 8 - 3)
    out = reduced(values, pointers(sizes), reduce)
    assert_agree(out, brute_force(values, sizes, reduce), [values])


@pytest.mark.parametrize("reduce", REDUCE)
def test_derivatives(reduce):
    values, ptr = leaf(5, 2), pointers([2, 0, 3, 0])
    assert torch.autograd.gradcheck(lambda v: reduced(v, ptr, reduce), (values,))
    assert torch.autograd.gradgradcheck(lambda v: reduced(v, ptr, reduce), (values,))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["segment_sum", "segment_argmax"])
def test_opcheck(dtype, name):
    for sizes in ([2, 0, 3, 0], [0], [1]):
        values = leaf(sum(sizes), 2, dtype=dtype)
        torch.library.opcheck(getattr(torch.ops.graphseq, name).default, (values, pointers(sizes)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_of_equal_maxima_the_first_gets_the_gradient(dtype):
    values = torch.tensor([[1, 5], [2, 5], [2, 3], [2, 5]], dtype=dtype, requires_grad=True)
    out = reduced(values, pointers([4]), "max")
    assert out.tolist() == [[2, 5]]
    out.sum().backward()
    assert values.grad.tolist() == [[0, 1], [1, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduce", REDUCE)
def test_nan_stays_in_its_segment(dtype, reduce):
    nan = float("nan")
    values = torch.tensor([[1, nan], [nan, 2], [3, 4], [5, 6]], dtype=dtype)
    out = reduced(values, pointers([2, 0, 2]), reduce)
    assert out[0].isnan().all()
    assert out[1].tolist() == [0, 0]
    assert_close(out[2], REDUCE[reduce](values[2:]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities(dtype):
    inf = float("inf")
    values = torch.tensor([[-inf], [-inf], [inf], [-inf]], dtype=dtype, requires_grad=True)
    out = reduced(values, pointers([2, 2, 0]), "max")
    assert out.tolist() == [[-inf], [inf], [0]]
    out[:2].sum().backward()
    assert values.grad.tolist() == [[1], [0], [1], [0]]


@pytest.mark.parametrize("reduce", REDUCE)
def test_strided_rows(reduce):
    values, sizes = torch.randn(3, 8, dtype=torch.float64).t()[::2], [1, 3]
    assert_close(reduced(values, pointers(sizes), reduce), brute_force(values, sizes, reduce))


@pytest.mark.parametrize("reduce", REDUCE)
def test_kernels_on_two_threads(two_threads, reduce):
    sizes = torch.randint(0, 20, (1500,)).tolist()
    values = leaf(sum(sizes), 40, dtype=torch.float32)
    wanted = brute_force(values.double(), sizes, reduce).float()
    assert_close(reduced(values, pointers(sizes), reduce), wanted, 2 * TOLERANCE[torch.float32])
