"""Charts against brute force over all binary trees."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq import GraphError
from graphseq.ops import chart
from graphseq.ops.chart import best_trees, inside, log_partition, marginals
from tests.strategies import examples

LENGTHS = st.lists(st.integers(0, 6), min_size=1, max_size=3)
NEAR = {torch.float32: 2e-5, torch.float64: 1e-11}


def trees(i, j):
    """All binary trees over the words from i to j - 1, each a list of spans in preorder, the first split first."""
    if j - i == 1:
        return [[(i, j)]]
    return [
        [(i, j), *left, *right] for k in range(i + 1, j) for left in trees(i, k) for right in trees(k, j)
    ]  # fmt: skip


def brute_force(scores, n):
    """The sum over all trees, the marginal of each span, and the best tree, by enumeration."""
    listed = trees(0, n)
    totals = torch.stack([sum(scores[i, j] for i, j in spans) for spans in listed])
    chances, found = totals.softmax(0), torch.zeros_like(scores)
    for chance, spans in zip(chances, listed, strict=True):
        for i, j in spans:
            found[i, j] += chance
    return totals.logsumexp(0), found, listed[int(totals.argmax())]


def draw(lengths, dtype=torch.float64, seed=0):
    size = max(lengths) + 2  # wider than it has to be
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(len(lengths), size, size, dtype=dtype, generator=generator)
    return scores.requires_grad_(), torch.tensor(lengths)


@pytest.mark.parametrize("dtype", NEAR)
@given(lengths=LENGTHS, seed=st.integers(0, 1000))
@examples(25)
def test_brute_force(dtype, lengths, seed):
    scores, n = draw(lengths, dtype, seed)
    total, chances, best = log_partition(scores, n), marginals(scores, n), best_trees(scores, n)
    (grad,) = torch.autograd.grad(total.sum(), scores, allow_unused=True)
    torch.testing.assert_close(grad, chances)
    for b, length in enumerate(lengths):
        rows = [tuple(row) for row in best[b].tolist() if row[0] >= 0]
        if not length:
            assert total[b].item() == 0 and not bool(chances[b].any()) and not rows
            continue
        z, p, tree = brute_force(scores[b].detach(), length)
        torch.testing.assert_close(total[b].detach(), z, rtol=NEAR[dtype], atol=NEAR[dtype])
        torch.testing.assert_close(chances[b], p, rtol=NEAR[dtype], atol=NEAR[dtype])
        assert rows == tree


def test_seven_words():
    scores, n = draw([7])
    z, p, tree = brute_force(scores[0].detach(), 7)
    torch.testing.assert_close(log_partition(scores, n)[0].detach(), z)
    torch.testing.assert_close(marginals(scores, n)[0], p)
    assert [tuple(row) for row in best_trees(scores, n)[0, :13].tolist()] == tree


@pytest.mark.parametrize("dtype", NEAR)
def test_kernels_equal_the_bodies(dtype):
    scores, n = draw([9, 1, 0, 5], dtype)
    grad = torch.randn_like(scores)
    plain, fast = chart._inside_body(scores, n), inside(scores, n)
    torch.testing.assert_close(fast, plain)
    (by_autograd,) = torch.autograd.grad(plain, scores, grad)
    (by_kernel,) = torch.autograd.grad(fast, scores, grad)
    torch.testing.assert_close(by_kernel, by_autograd)
    torch.testing.assert_close(chart._outside_body(grad, scores, n), by_autograd)
    split = chart._best(scores.detach(), n)
    assert torch.equal(split, chart._best_body(scores.detach(), n))
    assert torch.equal(chart._tree_cpu(split, n), chart._tree_body(split, n))


def test_derivatives():
    scores, n = draw([4, 2, 3])
    assert torch.autograd.gradcheck(lambda s: inside(s, n), scores)
    assert torch.autograd.gradgradcheck(lambda s: inside(s, n), scores)


def test_transforms():
    scores, n = draw([4, 2, 3])
    scores = scores.detach()
    total = lambda s: log_partition(s, n).sum()  # noqa: E731
    torch.testing.assert_close(torch.func.grad(total)(scores), marginals(scores, n))
    out, slope = torch.func.jvp(total, (scores,), (torch.ones_like(scores),))
    torch.testing.assert_close(out, total(scores))
    torch.testing.assert_close(slope, marginals(scores, n).sum())


def test_operators():
    scores, n = draw([3, 2], torch.float64)
    for name in ("chart_inside", "chart_best"):
        torch.library.opcheck(getattr(torch.ops.graphseq, name).default, (scores, n))
    c = inside(scores, n).detach()
    torch.library.opcheck(torch.ops.graphseq.chart_outside.default, (c, scores.detach(), n, c))
    torch.library.opcheck(torch.ops.graphseq.chart_tree.default, (chart._best(scores.detach(), n), n))


def test_ties_take_the_first_split():
    spans = best_trees(torch.zeros(1, 5, 5), torch.tensor([4]))[0].tolist()
    assert spans == [[0, 4], [0, 1], [1, 4], [1, 2], [2, 4], [2, 3], [3, 4]]


def test_threads_change_nothing(two_threads):
    scores, n = draw([60, 61, 5, 33])
    alone = [inside(scores[b : b + 1], n[b : b + 1])[0] for b in range(4)]
    torch.testing.assert_close(inside(scores, n), torch.stack(alone), rtol=0, atol=0)


def test_large_scores_and_forbidden_spans():
    scores, n = draw([5], torch.float32)
    scores = (1e4 * scores).detach()
    z, p, _ = brute_force(scores[0], 5)
    torch.testing.assert_close(log_partition(scores, n)[0], z)
    torch.testing.assert_close(marginals(scores, n)[0], p, rtol=1e-3, atol=1e-3)
    scores = torch.zeros(1, 6, 6)
    scores[0, 0, 2:5] = -1e4
    assert [row for row in best_trees(scores, n)[0].tolist() if row[1] - row[0] > 1][1] == [1, 5]


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("never", [-1e9, -1e12, -1e30])
def test_scores_that_forbid_spans_by_far(never, dtype):
    """One tree is left, however large numbers are rounded: by kernels, the bodies, and the bodies for CUDA."""
    scores = torch.full((1, 6, 6), never, dtype=dtype)
    for i in range(5):
        scores[0, i, i + 1] = scores[0, i, 5] = 0
    n, wanted = torch.tensor([5]), (scores == 0).to(dtype)
    assert torch.equal(marginals(scores, n), wanted)
    scores.requires_grad_()
    for create_graph in (False, True):
        (found,) = torch.autograd.grad(log_partition(scores, n).sum(), scores, create_graph=create_graph)
        assert torch.equal(found.detach(), wanted)
    given, grad = (scores.detach(), n), torch.zeros_like(scores)
    grad[0, 0, 5] = 1
    found = chart._outside.bodies["cuda"](grad, *given, chart._inside.bodies["cuda"](*given))
    assert torch.equal(found, wanted)


def test_sixteen_bits():
    scores, n = draw([5, 3], torch.float32)
    for dtype in (torch.float16, torch.bfloat16):
        half = scores.detach().to(dtype)
        assert log_partition(half, n).dtype == marginals(half, n).dtype == dtype
        torch.testing.assert_close(marginals(half, n).float(), marginals(half.float(), n), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("scores", "lengths", "message"),
    [
        (torch.zeros(2, 3), [1], "`scores`: expected numbers of shape"),
        (torch.zeros(1, 3, 4), [1], "`scores`: expected numbers of shape"),
        (torch.zeros(1, 3, 3, dtype=torch.int64), [1], "`scores`: expected numbers"),
        (torch.zeros(1, 3, 3), [1, 2], "`lengths`: expected int64 of shape"),
        (torch.zeros(1, 3, 3), [3], "`lengths`: expected numbers of words from 0 to 2, got 3 to 3"),
        (torch.zeros(2, 3, 3), [-1, 2], "`lengths`: expected numbers of words from 0 to 2, got -1 to 2"),
    ],
)
@pytest.mark.parametrize("function", [inside, log_partition, marginals, best_trees])
def test_errors(function, scores, lengths, message):
    with pytest.raises(GraphError, match=message):
        function(scores, torch.tensor(lengths))
