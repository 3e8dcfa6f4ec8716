"""The operators behind lowerings, apart from cells: registration, derivatives of both orders, CPU kernels.

In float32 they run on compiled kernels, in float64 by the cells' equations; what those compute is held to the papers in
the tests of the cells.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from torch.utils._python_dispatch import TorchDispatchMode

from graphseq import Topology
from graphseq.nn.lowerings.childsum import SWEEP as childsum_sweep
from graphseq.nn.lowerings.dependency import SWEEP as dependency_sweep
from graphseq.nn.lowerings.elman import SWEEPS as ELMAN
from graphseq.nn.lowerings.gru import SWEEP as gru_sweep
from graphseq.nn.lowerings.lstm import SWEEP as lstm
from graphseq.nn.lowerings.matrix_vector import SWEEP as matrix_vector_sweep
from graphseq.nn.lowerings.nary_gru import SWEEP as nary_gru_sweep
from graphseq.nn.lowerings.rntn import SWEEP as rntn_sweep
from graphseq.nn.lowerings.tree_gru import SWEEP as tree_gru_sweep
from graphseq.nn.lowerings.typed import SWEEP as typed_sweep
from tests.oracles import State, assert_agree, assert_close, gradients, tensors
from tests.strategies import examples, structure_for


class Case(NamedTuple):
    """An operator, and the shapes of its inputs for N nodes, M of them without predecessors, and H."""

    name: str
    call: Callable[..., Any]
    shapes: Callable[[int, int, int], list[tuple[int, ...] | None]]  # None for an input that is left out
    slots: int = 1
    types: int = 0  # of edges


def lstm_sweep(p: Any, *given: Any) -> State:
    return lstm(p, None, *given)


CASES = [
    Case("elman_tanh", ELMAN[False], lambda n, m, h: [(n, h), (h, h), (m, h)]),
    Case("elman_tanh without h0", ELMAN[False], lambda n, m, h: [(n, h), (h, h), None]),
    Case("elman_relu", ELMAN[True], lambda n, m, h: [(n, h), (h, h), (m, h)]),
    Case("gru", gru_sweep, lambda n, m, h: [(n, 3 * h), (3 * h, h), (3 * h,), (m, h)]),
    Case("gru without h0", gru_sweep, lambda n, m, h: [(n, 3 * h), (3 * h, h), (3 * h,), None]),
    Case("lstm", lstm_sweep, lambda n, m, h: [(n, 4 * h), (4 * h, h), (m, h), (m, h)]),
    Case("lstm without c0", lstm_sweep, lambda n, m, h: [(n, 4 * h), (4 * h, h), (m, h), None]),
    Case("lstm without h0, c0", lstm_sweep, lambda n, m, h: [(n, 4 * h), (4 * h, h), None, None]),
    Case("lstm of 2", lstm_sweep, lambda n, m, h: [(n, 4 * h), (5 * h, 2 * h), (m, h), (m, h)], slots=2),
    Case("lstm of 3 without h0, c0", lstm_sweep, lambda n, m, h: [(n, 4 * h), (6 * h, 3 * h), None, None], slots=3),
    Case("recursive of 2", ELMAN[False], lambda n, m, h: [(n, h), (h, 2 * h), (m, h)], slots=2),
    Case("recursive relu of 3", ELMAN[True], lambda n, m, h: [(n, h), (h, 3 * h), None], slots=3),
    Case("rntn of 2", rntn_sweep, lambda n, m, h: [(n, h), (h, 2 * h), (h, 2 * h, 2 * h), (m, h)], slots=2),
    Case("matrix-vector", matrix_vector_sweep, lambda n, m, h: [(n, h + h * h), (h, 2 * h), (h, 2 * h)], slots=2),
    Case("rntn of 3", rntn_sweep, lambda n, m, h: [(n, h), (h, 3 * h), (h, 3 * h, 3 * h), None], slots=3),
    Case("gru of 2", nary_gru_sweep, lambda n, m, h: [(n, 3 * h), (4 * h, 2 * h), (3 * h,), (m, h)], slots=2),
    Case("gru of 3", nary_gru_sweep, lambda n, m, h: [(n, 3 * h), (5 * h, 3 * h), (3 * h,), None], slots=3),
    Case("tree gru", tree_gru_sweep, lambda n, m, h: [(n, 3 * h), (3 * h, h), (3 * h,)]),
    Case("childsum", childsum_sweep, lambda n, m, h: [(n, 4 * h), (4 * h, h)]),
    Case("typed", typed_sweep, lambda n, m, h: [(n, h), (3, h, h)], types=3),
    Case("dependency", dependency_sweep, lambda n, m, h: [(n, 4 * h), (4 * h, h), (3, h, h)], types=3),
]
STRUCTURES = {
    "chains": Topology.chain([3, 1, 0, 3]),
    "tree": Topology.tree([4, 4, 3, 5, 5, -1], slot=[1, 0, 1, 0, 1, 0]),
    "dag": Topology.from_edge_index(torch.tensor([[0, 0, 1, 2, 1, 1, 0], [1, 2, 3, 3, 4, 4, 4]]), 6),
    "empty": Topology.chain([0]),
}
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
both = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def inputs(case: Case, t: Topology, dtype: torch.dtype = torch.float64, hidden: int = 2) -> list[torch.Tensor | None]:
    first = int((t.in_degree == 0).sum())
    shapes = case.shapes(t.num_nodes, first, hidden)
    # A tensor is drawn as small as the cell draws it: a larger one amplifies rounding from level to level, also that of
    # the equations in this precision.
    return [
        None if s is None else (torch.randn(s, dtype=dtype) / (hidden * (s[-1] if len(s) == 3 else 1)) ** 0.5)
        .requires_grad_() for s in shapes
    ]  # fmt: skip


def run(case: Case, t: Topology, given: list[torch.Tensor | None]) -> State:
    slot = None if case.slots == 1 else t.slot[t.packed.edges]
    types = (torch.arange(t.num_edges) * 5 + 1) % 7 % case.types if case.types else None
    return tensors(case.call(*given, t.packed.structure(slot)._replace(types=types)))


def present(given: list[torch.Tensor | None]) -> list[torch.Tensor]:
    return [g for g in given if g is not None]


def structures_of(case: Case) -> list[Topology]:
    fits = [t for t in STRUCTURES.values() if case.slots == 1 or t.num_edges == 0 or int(t.slot.max()) < case.slots]
    assert len(fits) >= 3
    return fits


class Calls(TorchDispatchMode):
    """Notes the calls of the library's operators."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "graphseq" and "sweep" in str(func):
            self.calls.append((func, args))
        return func(*args, **(kwargs or {}))


@each
def test_opcheck(case):
    """Tracing, by far the slowest of the checks, runs on the most general structure and on the empty one."""
    *_, largest, empty = fits = structures_of(case)
    assert largest.num_edges > 0 == empty.num_nodes
    for t in fits:
        given = inputs(case, t)
        with Calls() as noted:
            out = run(case, t, given)
            torch.autograd.grad(sum(o.sum() for o in out), present(given))
        assert len(noted.calls) == 2, "a sweep is one operator, and its gradient another"
        for operator, arguments in noted.calls:
            wants = operator is noted.calls[0][0]
            fresh = [
                a.detach().clone().requires_grad_(wants and a.is_floating_point()) if isinstance(a, torch.Tensor) else a
                for a in arguments
            ]
            checks = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")
            torch.library.opcheck(operator, tuple(fresh), test_utils=checks if t in (largest, empty) else checks[:3])


@each
def test_derivatives(case):
    for t in structures_of(case):
        given = inputs(case, t)

        def call(*some, given=given, t=t):
            rest = iter(some)
            return run(case, t, [None if g is None else next(rest) for g in given])

        assert torch.autograd.gradcheck(call, present(given))
        if t.num_nodes:
            assert torch.autograd.gradgradcheck(call, present(given), fast_mode=True)


@both
@each
def test_gradients_that_can_be_differentiated_are_the_same_gradients(case, dtype):
    for t in structures_of(case):
        given = inputs(case, t, dtype)
        out = run(case, t, given)
        seeds = [torch.randn_like(o) for o in out]
        again = gradients(out, present(given), seeds, create_graph=True)
        for a, b in zip(again, gradients(out, present(given), seeds), strict=True):
            assert_close(a, b)


@each
def test_compiled_kernels_equal_pytorch(case):
    @given(t=structure_for(0 if case.slots == 1 else case.slots))
    @examples(25)
    def check(t):
        single = inputs(case, t, torch.float32)
        double = [None if g is None else g.double() for g in single]
        assert_agree(run(case, t, single), [o.float() for o in run(case, t, double)], single)

    check()


@both
@each
def test_only_what_wants_a_gradient_gets_one(case, dtype):
    for t in structures_of(case):
        every = inputs(case, t, dtype)
        out = run(case, t, every)
        seeds = [torch.randn_like(o) for o in out]
        whole = iter(gradients(out, present(every), seeds))
        for i, one in enumerate(every):
            if one is not None:
                alone = run(case, t, [g if i == k or g is None else g.detach() for k, g in enumerate(every)])
                assert_close(gradients(alone, [one], seeds)[0], next(whole))


@both
@each
def test_the_gradient_of_one_state_alone(case, dtype):
    for t in structures_of(case):
        given = inputs(case, t, dtype)
        out = run(case, t, given)
        for i, o in enumerate(out):
            seeds = [torch.randn_like(o) if k == i else torch.zeros_like(p) for k, p in enumerate(out)]
            alone = gradients([o], present(given), [seeds[i]])
            for a, b in zip(alone, gradients(out, present(given), seeds), strict=True):
                assert_close(a, b)


@both
@each
def test_nothing_is_written_on_and_backward_runs_twice(case, dtype):
    for t in structures_of(case):
        given = inputs(case, t, dtype)
        out = run(case, t, given)
        seeds = [torch.randn_like(o) for o in out]
        kept = [*present(given), *out, *seeds, *t.packed]
        before = [k.detach().clone() for k in kept]
        first, second = (gradients(out, present(given), seeds) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
        assert all(torch.equal(a, b) for a, b in zip(kept, before, strict=True))


def turn(t: torch.Tensor) -> torch.Tensor:
    """The same numbers, the first dimension innermost in memory."""
    return t.detach().movedim(0, -1).contiguous().movedim(-1, 0)


@both
@each
def test_strided_inputs_and_gradients(case, dtype):
    for t in structures_of(case):
        dense = inputs(case, t, dtype)
        strided = [g if g is None else turn(g).requires_grad_() for g in dense]
        ours, theirs = run(case, t, strided), run(case, t, dense)
        turned = [torch.randn(o.size(1), o.size(0), dtype=dtype).t() for o in ours]
        for seeds in (turned, [o.new_ones(1).expand_as(o) for o in ours]):
            found, wanted = gradients(ours, present(strided), seeds), gradients(theirs, present(dense), seeds)
            for a, b in zip(found, wanted, strict=True):
                assert_close(a, b)


WIDE = ("elman_tanh", "gru", "lstm without h0, c0", "recursive of 2", "gru of 2", "tree gru", "childsum", "dependency")


@pytest.mark.parametrize("case", [c for c in CASES if c.name in WIDE], ids=lambda case: case.name)
def test_kernels_on_two_threads(two_threads, case):
    """Levels so wide that kernels run on both threads, where they may."""
    n = 3000
    parent = torch.cat([torch.tensor([-1]), (torch.arange(1, n) - 1) // 2])
    low, high = torch.randint(n // 2, (2 * n,)), torch.randint(n // 2, n, (2 * n,))
    dag = Topology.from_edge_index(torch.stack([low, high]), n)
    if case.slots == 2:
        high = torch.arange(n // 2, n).repeat_interleave(2)
        dag = Topology.from_edge_index(torch.stack([low[: high.numel()], high]), n)
    for t in (Topology.tree(parent), dag):
        single = inputs(case, t, torch.float32, hidden=64)
        double = [None if g is None else g.double() for g in single]
        assert_agree(run(case, t, single), [o.float() for o in run(case, t, double)], single, 1e-5)


@each
def test_large_numbers_infinities_and_nan(case):
    """Gates saturate and do not overflow; what is no number stays none, where it is."""
    for t in structures_of(case):
        for value in (40.0, 1e4, 3e38, float("inf"), float("nan")):
            if value > 1e4 and ("relu" in case.name or case.name == "matrix-vector"):
                continue  # which have no gate
            single = inputs(case, t, torch.float32)
            with torch.no_grad():
                single[0][::2] = value
                if not math.isnan(value):
                    single[0][1::2, ::3] = -value
            wanted = run(case, t, [None if g is None else g.double() for g in single])
            for a, b in zip(run(case, t, single), wanted, strict=True):
                torch.testing.assert_close(a, b.float(), rtol=1e-5, atol=1e-5, equal_nan=True)


@each
def test_autocast_computes_in_float32(case):
    for t in structures_of(case):
        given = [None if g is None else g.detach().bfloat16().requires_grad_() for g in inputs(case, t, torch.float32)]
        with torch.autocast("cpu", torch.bfloat16):
            out = run(case, t, given)
        wanted = run(case, t, [None if g is None else g.float() for g in given])
        assert_agree(out, wanted, given)


@each
def test_bfloat16(case):
    for t in structures_of(case):
        given = [None if g is None else g.detach().bfloat16().requires_grad_() for g in inputs(case, t, torch.float32)]
        wanted = run(case, t, [None if g is None else g.float() for g in given])
        assert_agree(run(case, t, given), [w.bfloat16() for w in wanted], given)


def test_gates_are_exact_from_the_smallest_numbers_to_the_largest() -> None:
    size = torch.logspace(-30, 2, 4000, dtype=torch.float64)
    x = torch.cat([-size, size]).float()[:, None]
    nodes, zero = Topology.chain([1] * x.size(0)), torch.zeros(1, 1)

    (h,) = ELMAN[False](x, zero, None, nodes.packed.structure())
    torch.testing.assert_close(h.double(), torch.tanh(x.double()), rtol=5e-7, atol=0)

    # i = σ(x) and g = 1: a cell's c is the sigmoid
    p = torch.cat([x, x * 0, x * 0 + 30, x * 0 + 30], 1)
    _, c = lstm_sweep(p, torch.zeros(4, 1), None, None, nodes.packed.structure())
    where = x.double() > -80  # below, the kernel's sigmoid stays at that of -87
    torch.testing.assert_close(c.double()[where], torch.sigmoid(x.double())[where], rtol=5e-7, atol=0)
