"""Triton's kernels give what the equations give: on CUDA, or where there is none in Triton's interpreter."""

import os
import subprocess
import sys
from itertools import product

import pytest
import torch

import graphseq as gs
from graphseq.nn.attention import Additive, Dot, PerFeature
from graphseq.nn.lowerings.attend import Edges, reference
from graphseq.ops.library import OPERATORS
from tests.oracles import assert_close, gradients

pytest.importorskip("triton")


DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="module")
def kernels():
    from graphseq.ops.kernels import triton_attention

    return triton_attention


LINKS = {
    "some": gs.Links.between(torch.tensor([[0, 1, 2, 4, 4, 4], [1, 1, 0, 3, 1, 1]]), 5, 4),
    "many": gs.Links.between(torch.stack([torch.arange(90) * 7 % 11, torch.arange(90) * 5 % 3]), 11, 3),
    "no edges": gs.Links.between(torch.zeros(2, 0, dtype=torch.int64), 2, 3),
    "no receivers": gs.Links.between(torch.zeros(2, 0, dtype=torch.int64), 2, 0),
    "no senders": gs.Links.between(torch.zeros(2, 0, dtype=torch.int64), 0, 2),
}
KINDS = ("additive", "edges", "per_feature", "dot")
SHAPES = [(1, 1), (2, 3), (8, 4), (3, 40)]  # heads and the width of each


@pytest.mark.parametrize(("links", "shape"), [*product(LINKS, SHAPES), ("some", (2, 1100))], ids=str)
def test_attention(kernels, links, shape):
    links, (heads, wide) = LINKS[links].to(DEVICE), shape
    for kind, dropout in product(KINDS, (False, True)):
        keep = torch.randint(2, (links.num_edges, heads), dtype=torch.uint8, device=DEVICE) if dropout else None
        edges = Edges(*links.matrix, keep, heads, 2.0 if dropout else 1.0, 0.3)
        full = heads * wide
        sizes = {"x": (links.num_senders, full), "s": (links.num_senders, full if kind == "dot" else heads)}
        sizes |= {"r": (links.num_receivers, heads if kind in ("additive", "edges") else full)}
        sizes |= {"b": (links.num_edges, heads)} if kind == "edges" else {}
        sizes |= {"a": (heads, wide)} if kind == "per_feature" else {}
        if kind == "per_feature":
            del sizes["s"]
        drawn = {name: torch.randn(size, device=DEVICE) / max(1, wide / 40) ** 0.5 for name, size in sizes.items()}
        given = {name: t.requires_grad_() for name, t in drawn.items()}
        score = Dot(heads, 1.0) if kind == "dot" else Additive(0.3)
        score = PerFeature(given["a"], 0.3) if kind == "per_feature" else score
        sent = () if kind == "per_feature" else (given["s"],)
        (wanted,) = reference(score, given["x"], sent, given["r"], given.get("b"), edges)
        name, plain = "additive" if kind == "edges" else kind, {k: t.detach() for k, t in given.items()}
        out, lse = kernels.attention(name, edges, **plain)
        assert_close(out, wanted.detach(), 1e-5)
        g = torch.randn_like(out)
        found = kernels.gradient(name, edges, g, out, lse, **plain)
        for key, grad in zip(given, gradients([wanted], list(given.values()), [g]), strict=True):
            assert_close(found[key], grad, 2e-5)


@pytest.mark.parametrize("first", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_scores_that_are_no_numbers_stay_with_their_receiver(kernels, first):
    links = LINKS["many"].to(DEVICE)
    x, s, r = (torch.randn(size, device=DEVICE) for size in ((11, 6), (11, 2), (3, 2)))
    s[0, 1] = first
    edges = Edges(*links.matrix, None, 2, 1.0, 0.3)
    out, _ = kernels.attention("additive", edges, x, r, s)
    (wanted,) = reference(Additive(0.3), x, (s,), r, None, edges)
    torch.testing.assert_close(out, wanted, atol=1e-5, rtol=1e-5, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("wide", [1, 3, 200])
@pytest.mark.parametrize("links", LINKS)
def test_maxima(links, wide, dtype):
    from graphseq.ops.kernels import triton_max

    links = LINKS[links].to(DEVICE)
    x = torch.randint(-3, 4, (links.num_senders, wide), device=DEVICE).to(dtype)  # with ties
    if x.size(0) > 4:
        x[1], x[2, 0], x[4, :2] = -float("inf"), float("nan"), float("inf")
    ptr, index = links.matrix.ptr, links.matrix.columns
    found, wanted = triton_max.neighbour_max(x, ptr, index), OPERATORS["neighbour_max"].body(x, ptr, index)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, atol=0, rtol=0, equal_nan=True)


COMPILE = """
import os
import subprocess
import sys
from itertools import product
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from graphseq.ops.kernels import triton_attention as kernels

kinds = {"ptr": "*i64", "index": "*i64", "edge": "*i64", "keep": "*u8"}
kinds |= dict.fromkeys(["heads", "wide"], "i32") | dict.fromkeys(["slope", "share"], "fp32")
for kernel, kind in product((kernels._forward, kernels._senders, kernels._receivers), (0, 1, 2)):
    known = {"KIND": kind, "EDGED": kind == 0, "KEPT": True, **kernels._blocks(4, 8)}
    names = [p.name for p in kernel.params]
    types = {p.name: "constexpr" if p.is_constexpr else kinds.get(p.name, "*fp32") for p in kernel.params}
    source = ASTSource(fn=kernel, signature=types, constexprs={k: v for k, v in known.items() if k in names})
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]

from graphseq.ops.kernels.triton_max import _max

for number in ("*fp32", "*fp64", "*bf16"):
    known = {"E": 8, "W": 64, "KIND": triton.language.float64 if number == "*fp64" else triton.language.float32}
    types = {"ptr": "*i64", "index": "*i64", "x": number, "out": number, "place": "*i32", "wide": "i32"}
    source = ASTSource(fn=_max, signature=types | dict.fromkeys(known, "constexpr"), constexprs=known)
    assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
"""


@pytest.mark.slow
def test_the_kernels_compile():
    """For a GPU that need not be there: the interpreter accepts what the compiler doesn't."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
