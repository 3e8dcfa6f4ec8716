"""Vector instructions written out, for rows so short that the compiler's vectorised loops would never be entered.

Arrays are flat, float32; `WIDTH` numbers are read at an offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = ["WIDTH", "add_four", "add_leaky", "add_one", "add_slopes", "dot", "dot_four", "leaky_dot"]

WIDTH = 8
_VECTOR, _FUSE = ir.VectorType(ir.FloatType(), WIDTH), ("contract",)
_INDEX, _FLOAT = types.intp, types.float32
_FOUR = types.containers.UniTuple(_FLOAT, 4)


def _load(context: Any, builder: Any, kind: Any, array: Any, at: Any) -> tuple[Any, Any]:
    """Return the numbers at an offset, and where they are."""
    data = context.make_array(kind)(context, builder, array).data
    place = builder.bitcast(builder.gep(data, [at]), _VECTOR.as_pointer())
    return builder.load(place, align=4), place


def _spread(builder: Any, number: Any) -> Any:
    blank = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(blank, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, blank, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH))


def _adder(count: int) -> Any:
    """Return the generator of ``out[o:] += Σ a_i x[p_i:]`` with `count` terms."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        total, place = _load(context, builder, signature.args[0], given[0], given[1])
        for at, factor in zip(given[3 : 3 + count], given[3 + count :], strict=True):
            row, _ = _load(context, builder, signature.args[2], given[2], at)
            total = builder.fadd(total, builder.fmul(_spread(builder, factor), row, flags=_FUSE), flags=_FUSE)
        builder.store(total, place, align=4)
        return context.get_dummy_value()

    return generate


@intrinsic
def add_one(typing: Any, out: Any, o: Any, x: Any, p: Any, a: Any) -> Any:
    """``out[o:] += a x[p:]``."""
    return types.void(out, _INDEX, x, _INDEX, _FLOAT), _adder(1)


@intrinsic
def add_four(
    typing: Any, out: Any, o: Any, x: Any, p: Any, q: Any, r: Any, s: Any, a: Any, b: Any, c: Any, d: Any
) -> Any:
    """``out[o:] += a x[p:] + b x[q:] + c x[r:] + d x[s:]``."""
    return types.void(out, _INDEX, x, *[_INDEX] * 4, *[_FLOAT] * 4), _adder(4)


def _products(context: Any, builder: Any, kinds: Any, given: Any, count: int) -> list[Any]:
    """Return vectors whose sums are ``Σ_j x[p + j] y[q_i + j]``, j below `wide`, for `count` offsets q_i."""
    x, p, y, *offsets, wide = given
    totals = [cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [0.0] * WIDTH)) for _ in range(count)]
    step = ir.Constant(wide.type, WIDTH)
    with cgutils.for_range_slice(builder, ir.Constant(wide.type, 0), wide, step, wide.type) as (j, _):
        left, _ = _load(context, builder, kinds[0], x, builder.add(p, j))
        for q, total in zip(offsets, totals, strict=True):
            right, _ = _load(context, builder, kinds[2], y, builder.add(q, j))
            product = builder.fmul(left, right, flags=_FUSE)
            builder.store(builder.fadd(builder.load(total), product, flags=_FUSE), total)
    return [builder.load(total) for total in totals]


def _leaky(builder: Any, z: Any, above: Any, below: Any) -> Any:
    """Return, number by number, one of two vectors: the first where z is above 0."""
    return builder.select(builder.fcmp_ordered(">", z, ir.Constant(_VECTOR, [0.0] * WIDTH)), above, below)


def _mixed(builder: Any, a: Any, b: Any, lanes: Sequence[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes)))


def _halved(builder: Any, vector: Any) -> Any:
    """Return the sum of a vector's two halves."""
    half = vector.type.count // 2
    low, high = (_mixed(builder, vector, vector, range(at, at + half)) for at in (0, half))
    return builder.fadd(low, high)


@intrinsic
def add_slopes(typing: Any, out: Any, o: Any, x: Any, p: Any, y: Any, q: Any, above: Any, below: Any) -> Any:
    """``out[o:] += above`` where ``x[p:] + y[q:]`` is above 0, else ``below``."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        total, place = _load(context, builder, signature.args[0], *given[:2])
        z = builder.fadd(*(_load(context, builder, signature.args[i], *given[i : i + 2])[0] for i in (2, 4)))
        slopes = _leaky(builder, z, *(_spread(builder, number) for number in given[6:]))
        builder.store(builder.fadd(total, slopes), place, align=4)
        return context.get_dummy_value()

    return types.void(out, _INDEX, x, _INDEX, y, _INDEX, _FLOAT, _FLOAT), generate


@intrinsic
def add_leaky(typing: Any, out: Any, o: Any, x: Any, p: Any, y: Any, q: Any, factor: Any, slope: Any) -> Any:
    """``out[o:] += factor leaky(x[p:] + y[q:])``."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        total, place = _load(context, builder, signature.args[0], *given[:2])
        z = builder.fadd(*(_load(context, builder, signature.args[i], *given[i : i + 2])[0] for i in (2, 4)))
        z = _leaky(builder, z, z, builder.fmul(z, _spread(builder, given[7])))
        term = builder.fmul(z, _spread(builder, given[6]), flags=_FUSE)
        builder.store(builder.fadd(total, term, flags=_FUSE), place, align=4)
        return context.get_dummy_value()

    return types.void(out, _INDEX, x, _INDEX, y, _INDEX, _FLOAT, _FLOAT), generate


@intrinsic
def leaky_dot(
    typing: Any, x: Any, p: Any, y: Any, q: Any, a: Any, at: Any, slope: Any, wide: Any
) -> Any:
    """Return ``Σ_j a[at + j] leaky(x[p + j] + y[q + j])``, j below `wide`, a multiple of `WIDTH`."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        total = cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [0.0] * WIDTH))
        zero, step = (ir.Constant(given[7].type, n) for n in (0, WIDTH))
        with cgutils.for_range_slice(builder, zero, given[7], step, given[7].type) as (j, _):
            left, right, factor = (
                _load(context, builder, signature.args[i], given[i], builder.add(given[i + 1], j))[0] for i in (0, 2, 4)
            )
            z = builder.fadd(left, right)
            z = _leaky(builder, z, z, builder.fmul(z, _spread(builder, given[6])))
            builder.store(builder.fadd(builder.load(total), builder.fmul(z, factor, flags=_FUSE), flags=_FUSE), total)
        return _whole(builder, builder.load(total))

    return _FLOAT(x, _INDEX, y, _INDEX, a, _INDEX, _FLOAT, _INDEX), generate


def _whole(builder: Any, total: Any) -> Any:
    """Return the sum of a vector."""
    while total.type.count > 1:
        total = _halved(builder, total)
    return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))


@intrinsic
def dot(typing: Any, x: Any, p: Any, y: Any, q: Any, wide: Any) -> Any:
    """Return ``Σ_j x[p + j] y[q + j]``, j below `wide`, a multiple of `WIDTH`."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return _whole(builder, *_products(context, builder, signature.args, given, 1))

    return _FLOAT(x, _INDEX, y, _INDEX, _INDEX), generate


@intrinsic
def dot_four(typing: Any, x: Any, p: Any, y: Any, q: Any, r: Any, s: Any, t: Any, wide: Any) -> Any:
    """Return four such sums, for y[q + j], y[r + j], y[s + j] and y[t + j]."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        a, b, c, d = (_halved(builder, v) for v in _products(context, builder, signature.args, given, 4))
        ab, cd = (
            builder.fadd(_mixed(builder, v, w, (0, 1, 4, 5)), _mixed(builder, v, w, (2, 3, 6, 7)))
            for v, w in ((a, b), (c, d))
        )
        sums = builder.fadd(_mixed(builder, ab, cd, (0, 2, 4, 6)), _mixed(builder, ab, cd, (1, 3, 5, 7)))
        found = [builder.extract_element(sums, ir.Constant(ir.IntType(32), i)) for i in range(4)]
        return context.make_tuple(builder, signature.return_type, found)

    return _FOUR(x, _INDEX, y, *[_INDEX] * 5), generate
