"""What comes out: the same each time, finite, in the right dtype, on any device; and nothing changed that went in."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .calling import Probe, arguments, call, dtype_of
from .compare import finite, gap
from .finding import Finding, failed, passed, skipped, told

__all__ = ["device", "dtype", "exact", "finite_numbers", "inputs_unchanged", "repeatable"]

_SINGLE = 1e-3  # how far float32 may be from float64, and CUDA from the CPU, beside the largest number


def repeatable(probe: Probe) -> Finding:
    """Call twice in eval mode: without reseeding, the same comes out."""
    sample = probe.sample(shift=30)
    worst = max(gap(a, b) for a, b in zip(probe.run(sample), probe.run(sample), strict=True))
    if worst > 0:
        return failed(
            "repeatable", f"two calls in eval mode differ by {worst:.1g} of the largest",
            "Validation and test results become noise. Give F.dropout training=self.training, draw noise only when "
            "training, and keep no state from call to call.",
        )  # fmt: skip
    return passed("repeatable", "two calls in eval mode give the same")


def inputs_unchanged(probe: Probe) -> Finding:
    """Compare what went in before and after a call, in eval mode and in training mode."""
    for mode in (False, True):
        sample = probe.sample(shift=40)
        model = probe.copy().train(mode)
        ordered, named = arguments(probe.form, sample)
        before = copy.deepcopy((ordered, named))
        try:
            with torch.no_grad():
                model(*ordered, **named)
        except Exception:
            if not mode:
                raise
            continue  # what training raises, another check tells
        roles = [role for _, role in probe.form.roles]
        pairs = zip([*before[0], *before[1].values()], [*ordered, *named.values()], strict=True)
        changed = [c for role, (old, new) in zip(roles, pairs, strict=True) for c in _changed(role, old, new)]
        if changed:
            return failed(
                "inputs unchanged", f"the call changed {', '.join(changed)} of the caller",
                "The next epoch or layer then reads other data. Don't use operations that end in _, x[…] = … or x += … "
                "on arguments, and don't assign to attributes of a Data: work on new tensors.",
            )  # fmt: skip
    return passed("inputs unchanged", "features, edges and batch are as they were before the call")


def _changed(role: str, old: Any, new: Any) -> list[str]:
    """Return the names of what is not as it was."""
    if isinstance(old, Tensor):
        same = old.shape == new.shape and old.dtype == new.dtype and torch.equal(old, new)
        return [] if same else [role]
    if role != "data":
        return []
    had, has = old.to_dict(), new.to_dict()
    names = [f"data.{name}" for name in {**had, **has} if (name in had) != (name in has)]
    return names + [name for key in had if key in has for name in _changed(f"data.{key}", had[key], has[key])]


def finite_numbers(probe: Probe) -> Finding:
    """Look for NaN and infinity, in results and in gradients, with features drawn at random, all 0, and all 1."""
    drawn = probe.sample(shift=50)
    cases = [("random features", drawn)]
    if not probe.form.symbols:
        for value in (0, 1):
            cases.append((f"features that are all {value}", replace(drawn, x=torch.full_like(drawn.x, value))))
    for name, sample in cases:
        model, x = probe.copy(), sample.x.clone()
        if x.is_floating_point():
            x.requires_grad_()
        results = call(model, probe.form, replace(sample, x=x))
        if not finite(results):
            return _not_finite(f"results are NaN or infinite for {name}")
        given = {n: p for n, p in model.named_parameters() if p.requires_grad} | ({"x": x} if x.requires_grad else {})
        differentiable = [t for t in results if t.requires_grad]
        if not differentiable or not given:
            continue
        found = torch.autograd.grad(sum((t.square().sum() + t.sum() for t in differentiable), torch.zeros(())),
                                    list(given.values()), allow_unused=True)  # fmt: skip
        bad = [n for n, g in zip(given, found, strict=True) if g is not None and not finite([g])]
        if bad:
            return _not_finite(f"gradients by {_listed(bad)} are NaN or infinite for {name}")
    return passed("finite numbers", f"no NaN or infinity in results or gradients for {len(cases)} kinds of features")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _not_finite(message: str) -> Finding:
    return failed(
        "finite numbers", message,
        "One NaN spreads to every weight in one step. Look for a division by a norm, a deviation or a count that can "
        "be 0 (x / x.norm()), log(0), sqrt and norm at 0, whose gradients are infinite, and exp of large numbers: add "
        "an epsilon inside, or clamp before.",
    )  # fmt: skip


def dtype(probe: Probe) -> Finding:
    """Run in float32 and float64: results have that dtype, and agree."""
    sample, results = probe.sample(shift=60), {}
    for kind in (torch.float32, torch.float64):
        name = str(kind).removeprefix("torch.")
        try:
            with torch.no_grad():
                results[kind] = call(probe.copy().to(kind), probe.form, sample.to(kind))
        except Exception as error:
            return _wrong_dtype(f"a model and features of {name} raise {told(error)}")
        wrong = [str(t.dtype).removeprefix("torch.") for t in results[kind] if t.dtype != kind]
        if wrong:
            return _wrong_dtype(f"a model and features of {name} give {wrong[0]}")
    worst = max(gap(a, b) for a, b in zip(*results.values(), strict=True))
    if worst > _SINGLE:
        return failed(
            "dtype", f"float32 and float64 differ by {worst:.1g} of the largest",
            "In float32 results are partly noise. Look for differences of large numbers, variances computed as "
            "E[x²] - E[x]², long products, and exp without subtracting the maximum.",
        )  # fmt: skip
    return passed("dtype", f"float32 and float64 both run, keep their dtype and agree to {worst:.0e}")


def _wrong_dtype(message: str) -> Finding:
    return failed(
        "dtype", message,
        "model.double() is how gradients are checked, and half precision how large models run. Make new tensors like "
        "others (x.new_zeros(…), torch.zeros(…, dtype=x.dtype)), and keep constants as buffers.",
    )  # fmt: skip


def device(probe: Probe) -> Finding:
    """Compare CUDA with the CPU."""
    if not torch.cuda.is_available():
        return skipped("device", "there is no CUDA device here")
    there, sample = torch.device("cuda"), probe.sample(shift=70)
    advice = (
        "Make new tensors where others are (x.new_zeros(…), device=x.device), keep constants as buffers, and don't go "
        "through NumPy."
    )
    try:
        with torch.no_grad():
            results = call(probe.copy().to(there), probe.form, sample.to(there))
    except Exception as error:
        return failed("device", f"on CUDA it raises {told(error)}", advice)
    away = [str(t.device) for t in results if t.device.type != "cuda"]
    if away:
        return failed("device", f"a model and features on CUDA give a result on {away[0]}", advice)
    worst = max(gap(a, b) for a, b in zip(probe.run(sample), results, strict=True))
    if worst > _SINGLE:
        return failed("device", f"CUDA and the CPU differ by {worst:.1g} of the largest", advice)
    return passed("device", f"CUDA and the CPU agree to {worst:.0e} ({torch.cuda.get_device_name()})")


def exact(probe: Probe) -> Probe:
    """Return the probe in float64, where symmetries hold to many digits, if the model runs in it."""
    made = replace(probe, model=probe.copy().double())
    try:
        good = dtype_of(made.model) == torch.float64 and all(t.dtype == torch.float64 for t in made.run(made.sample()))
    except Exception:
        good = False
    return made if good else probe
