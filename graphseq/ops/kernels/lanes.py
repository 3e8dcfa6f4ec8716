"""Vector instructions written out, for rows so short that the compiler's vectorised loops would never be entered.

Arrays are flat, float32; `WIDTH` numbers are read at an offset, or `HALF` by the functions named so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

__all__ = [
    "HALF", "WIDTH", "add_four", "add_four_half", "add_leaky", "add_leaky_half", "add_one", "add_one_half",
    "add_product", "add_slopes", "add_slopes_half", "dot", "dot_four", "dot_four_half", "dot_half", "leaky_dot",
    "leaky_dot_half",
]  # fmt: skip

WIDTH, HALF = 8, 4
_FUSE = ("contract",)
_INDEX, _FLOAT = types.intp, types.float32
_FOUR = types.containers.UniTuple(_FLOAT, 4)


def _load(context: Any, builder: Any, kind: Any, array: Any, at: Any, width: int) -> tuple[Any, Any]:
    """Return the numbers at an offset, and where they are."""
    data = context.make_array(kind)(context, builder, array).data
    place = builder.bitcast(builder.gep(data, [at]), ir.VectorType(ir.FloatType(), width).as_pointer())
    return builder.load(place, align=4), place


def _spread(builder: Any, number: Any, width: int) -> Any:
    blank = ir.Constant(ir.VectorType(ir.FloatType(), width), ir.Undefined)
    one = builder.insert_element(blank, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, blank, ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width))


def _zeros(width: int) -> Any:
    return ir.Constant(ir.VectorType(ir.FloatType(), width), [0.0] * width)


def _leaky(builder: Any, z: Any, above: Any, below: Any) -> Any:
    """Return, number by number, one of two vectors: the first where z is above 0."""
    return builder.select(builder.fcmp_ordered(">", z, _zeros(z.type.count)), above, below)


def _mixed(builder: Any, a: Any, b: Any, lanes: Sequence[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes)))


def _halved(builder: Any, vector: Any, count: int) -> Any:
    """Return a vector of `count` numbers, the sums of a vector's halves, of their halves, …"""
    while vector.type.count > count:
        half = vector.type.count // 2
        low, high = (_mixed(builder, vector, vector, range(at, at + half)) for at in (0, half))
        vector = builder.fadd(low, high)
    return vector


def _whole(builder: Any, total: Any) -> Any:
    """Return the sum of a vector."""
    return builder.extract_element(_halved(builder, total, 1), ir.Constant(ir.IntType(32), 0))


def _adder(count: int, width: int) -> Any:
    """Return the generator of ``out[o:] += Σ a_i x[p_i:]`` with `count` terms."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        total, place = _load(context, builder, signature.args[0], given[0], given[1], width)
        for at, factor in zip(given[3 : 3 + count], given[3 + count :], strict=True):
            row, _ = _load(context, builder, signature.args[2], given[2], at, width)
            total = builder.fadd(total, builder.fmul(_spread(builder, factor, width), row, flags=_FUSE), flags=_FUSE)
        builder.store(total, place, align=4)
        return context.get_dummy_value()

    return generate


def _products(context: Any, builder: Any, kinds: Any, given: Any, count: int, width: int) -> list[Any]:
    """Return vectors whose sums are ``Σ_j x[p + j] y[q_i + j]``, j below `wide`, for `count` offsets q_i."""
    x, p, y, *offsets, wide = given
    totals = [cgutils.alloca_once_value(builder, _zeros(width)) for _ in range(count)]
    step = ir.Constant(wide.type, width)
    with cgutils.for_range_slice(builder, ir.Constant(wide.type, 0), wide, step, wide.type) as (j, _):
        left, _ = _load(context, builder, kinds[0], x, builder.add(p, j), width)
        for q, total in zip(offsets, totals, strict=True):
            right, _ = _load(context, builder, kinds[2], y, builder.add(q, j), width)
            product = builder.fmul(left, right, flags=_FUSE)
            builder.store(builder.fadd(builder.load(total), product, flags=_FUSE), total)
    return [builder.load(total) for total in totals]


def _make_add_one(width: int) -> Any:
    @intrinsic
    def add_one(typing: Any, out: Any, o: Any, x: Any, p: Any, a: Any) -> Any:
        """``out[o:] += a x[p:]``."""
        return types.void(out, _INDEX, x, _INDEX, _FLOAT), _adder(1, width)

    return add_one


def _make_add_four(width: int) -> Any:
    @intrinsic
    def add_four(
        typing: Any, out: Any, o: Any, x: Any, p: Any, q: Any, r: Any, s: Any, a: Any, b: Any, c: Any, d: Any
    ) -> Any:
        """``out[o:] += a x[p:] + b x[q:] + c x[r:] + d x[s:]``."""
        return types.void(out, _INDEX, x, *[_INDEX] * 4, *[_FLOAT] * 4), _adder(4, width)

    return add_four


def _make_add_slopes(width: int) -> Any:
    @intrinsic
    def add_slopes(typing: Any, out: Any, o: Any, x: Any, p: Any, y: Any, q: Any, above: Any, below: Any) -> Any:
        """``out[o:] += above`` where ``x[p:] + y[q:]`` is above 0, else ``below``."""

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            kinds = signature.args
            total, place = _load(context, builder, kinds[0], given[0], given[1], width)
            z = builder.fadd(*(_load(context, builder, kinds[i], given[i], given[i + 1], width)[0] for i in (2, 4)))
            slopes = _leaky(builder, z, *(_spread(builder, number, width) for number in given[6:]))
            builder.store(builder.fadd(total, slopes), place, align=4)
            return context.get_dummy_value()

        return types.void(out, _INDEX, x, _INDEX, y, _INDEX, _FLOAT, _FLOAT), generate

    return add_slopes


def _make_add_leaky(width: int) -> Any:
    @intrinsic
    def add_leaky(typing: Any, out: Any, o: Any, x: Any, p: Any, y: Any, q: Any, factor: Any, slope: Any) -> Any:
        """``out[o:] += factor leaky(x[p:] + y[q:])``."""

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            kinds = signature.args
            total, place = _load(context, builder, kinds[0], given[0], given[1], width)
            z = builder.fadd(*(_load(context, builder, kinds[i], given[i], given[i + 1], width)[0] for i in (2, 4)))
            z = _leaky(builder, z, z, builder.fmul(z, _spread(builder, given[7], width)))
            term = builder.fmul(z, _spread(builder, given[6], width), flags=_FUSE)
            builder.store(builder.fadd(total, term, flags=_FUSE), place, align=4)
            return context.get_dummy_value()

        return types.void(out, _INDEX, x, _INDEX, y, _INDEX, _FLOAT, _FLOAT), generate

    return add_leaky


def _make_leaky_dot(width: int) -> Any:
    @intrinsic
    def leaky_dot(typing: Any, x: Any, p: Any, y: Any, q: Any, a: Any, at: Any, slope: Any, wide: Any) -> Any:
        """Return ``Σ_j a[at + j] leaky(x[p + j] + y[q + j])``, j below `wide`, a multiple of the vectors' width."""

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            total = cgutils.alloca_once_value(builder, _zeros(width))
            zero, step = (ir.Constant(given[7].type, n) for n in (0, width))
            with cgutils.for_range_slice(builder, zero, given[7], step, given[7].type) as (j, _):
                left, right, factor = (
                    _load(context, builder, signature.args[i], given[i], builder.add(given[i + 1], j), width)[0]
                    for i in (0, 2, 4)
                )
                z = builder.fadd(left, right)
                z = _leaky(builder, z, z, builder.fmul(z, _spread(builder, given[6], width)))
                product = builder.fmul(z, factor, flags=_FUSE)
                builder.store(builder.fadd(builder.load(total), product, flags=_FUSE), total)
            return _whole(builder, builder.load(total))

        return _FLOAT(x, _INDEX, y, _INDEX, a, _INDEX, _FLOAT, _INDEX), generate

    return leaky_dot


def _make_dot(width: int) -> Any:
    @intrinsic
    def dot(typing: Any, x: Any, p: Any, y: Any, q: Any, wide: Any) -> Any:
        """Return ``Σ_j x[p + j] y[q + j]``, j below `wide`, a multiple of the vectors' width."""

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return _whole(builder, *_products(context, builder, signature.args, given, 1, width))

        return _FLOAT(x, _INDEX, y, _INDEX, _INDEX), generate

    return dot


def _make_dot_four(width: int) -> Any:
    @intrinsic
    def dot_four(typing: Any, x: Any, p: Any, y: Any, q: Any, r: Any, s: Any, t: Any, wide: Any) -> Any:
        """Return four such sums, for y[q + j], y[r + j], y[s + j] and y[t + j], each summed as `dot` does."""

        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            found = _products(context, builder, signature.args, given, 4, width)
            a, b, c, d = (_halved(builder, v, 4) for v in found)
            ab, cd = (
                builder.fadd(_mixed(builder, v, w, (0, 1, 4, 5)), _mixed(builder, v, w, (2, 3, 6, 7)))
                for v, w in ((a, b), (c, d))
            )
            sums = builder.fadd(_mixed(builder, ab, cd, (0, 2, 4, 6)), _mixed(builder, ab, cd, (1, 3, 5, 7)))
            parts = [builder.extract_element(sums, ir.Constant(ir.IntType(32), i)) for i in range(4)]
            return context.make_tuple(builder, signature.return_type, parts)

        return _FOUR(x, _INDEX, y, *[_INDEX] * 5), generate

    return dot_four


@intrinsic
def add_product(typing: Any, total: Any, x: Any, y: Any) -> Any:
    """Return ``total + x y``, rounded twice: LLVM could fuse the two in one place and not in another."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fadd(given[0], builder.fmul(*given[1:]))

    return _FLOAT(_FLOAT, _FLOAT, _FLOAT), generate


def _both(make: Callable[[int], Any]) -> tuple[Any, Any]:
    return make(WIDTH), make(HALF)


add_one, add_one_half = _both(_make_add_one)
add_four, add_four_half = _both(_make_add_four)
add_slopes, add_slopes_half = _both(_make_add_slopes)
add_leaky, add_leaky_half = _both(_make_add_leaky)
leaky_dot, leaky_dot_half = _both(_make_leaky_dot)
dot, dot_half = _both(_make_dot)
dot_four, dot_four_half = _both(_make_dot_four)
