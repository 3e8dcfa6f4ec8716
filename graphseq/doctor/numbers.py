"""What comes out: the same each time, finite, in the right dtype, on any device; and no argument is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .examples import Example
from .finding import Fault, Raised, skip
from .subject import Copies, Subject, finite, gap

__all__ = ["device", "dtype", "finite_numbers", "in_float64", "inputs_unchanged", "repeatable", "targets_unread"]

_SINGLE = 1e-3  # how far float32 may be from float64, and CUDA from the CPU, relative to the largest number


def repeatable(s: Subject) -> str:
    """Call twice in eval mode: without reseeding, the same comes out."""
    example = s.draw(shift=30)
    state = torch.get_rng_state()
    first = s.run(example)
    worst = max(map(gap, first, s.run(example)))
    if not worst:
        return "two calls in eval mode give the same"
    torch.set_rng_state(state)
    chance = not any(map(gap, first, s.run(example)))
    cause = "Dropout or other randomness is active in eval mode" if chance else "State is kept from call to call"
    seeded = "not at all" if chance else "as well"
    raise Fault(
        cause, f"two calls in eval mode on {example} differ by {worst:.1g} of the largest, with the same seed {seeded}"
    )


def inputs_unchanged(s: Subject) -> str:
    """Compare the arguments before and after a call, in eval mode and in training mode."""
    for mode in (False, True):
        example = s.draw(shift=40)
        copies = Copies(example)
        try:
            s.run(example, s.copy().train(mode), copies=copies)
        except Raised:
            if not mode:
                raise
            continue  # "small batches in training" reports it
        given = {name: value for name, value in vars(copies).items() if not name.startswith("_")}
        changed = [c for name, value in given.items() for c in _changed(name, getattr(example, name), value)]
        if changed:
            after = f"after a call in {'training' if mode else 'eval'} mode on {example} they differ from before"
            raise Fault(f"forward changes {', '.join(changed)} of the caller in place", after)
    return f"{', '.join(s.read)} are as they were before the call"


def _changed(name: str, old: Any, new: Any) -> list[str]:
    """Return the names of what is not as it was."""
    if isinstance(old, Tensor) and isinstance(new, Tensor):
        same = old.shape == new.shape and old.dtype == new.dtype and torch.equal(old, new)
        return [] if same else [name]
    if name != "data":
        return [] if type(old) is type(new) else [name]
    had, has = old.to_dict(), new.to_dict()
    return [c for key in {**had, **has} for c in _changed(f"data.{key}", had.get(key), has.get(key))]


def targets_unread(s: Subject) -> str:
    """Change the labels that a batch carries: predictions must not follow."""
    if not {"y", "data"} & {*s.read}:
        raise skip("the model isn't given targets")
    example = s.draw(shift=45)
    worst = max(map(gap, s.run(example), s.run(replace(example, y=1 - example.y))))
    if worst:
        evidence = f"with other labels y on {example}, results in eval mode differ by {worst:.1g} of the largest"
        raise Fault("The targets leak into the predictions: forward reads y", evidence)
    return "results don't depend on y"


def finite_numbers(s: Subject) -> str:
    """Look for NaN and infinity, in results and in gradients, with features drawn at random, all 0, and all 1."""
    drawn = s.draw(shift=50)
    cases = {"random": drawn, "all 0": drawn, "all 1": drawn}
    if s.spec.symbols:
        cases = {"random": drawn}
    for name, example in cases.items():
        model, x = s.copy(), example.x if name == "random" else torch.full_like(example.x, float(name[-1]))
        example = replace(example, x=x.clone().requires_grad_(x.is_floating_point()))
        results = s.run(example, model, grad=True)
        if not finite(*results):
            bad = next((place for place, t in s.trace(example) if not finite(t)), "")
            place = f"first in the output of {bad}" if bad else "after the last layer, in forward itself"
            raise _not_finite(name, "results", f"NaN or infinity in results, {place}, on {example}")
        given: dict[str, Tensor] = {n: p for n, p in model.named_parameters() if p.requires_grad}
        given |= {"x": example.x} if example.x.requires_grad else {}
        grads = s.gradients(results, list(given.values()))
        names = [n for n, g in zip(given, grads, strict=True) if g is not None and not finite(g)]
        if names:
            raise _not_finite(name, "gradients", f"NaN or infinity in the gradients of {_listed(names)} on {example}")
    return f"no NaN or infinity in results or gradients with features that are {', '.join(cases)}"


def _not_finite(features: str, what: str, evidence: str) -> Fault:
    likely = {
        "random": "a logarithm, root, division or exp leaves its domain",
        "all 0": "a norm or sum is 0 and divided by",
        "all 1": "a deviation is 0 and divided by",
    }[features]
    if what == "gradients":
        likely = "a square root or norm at 0 has an infinite gradient"
    return Fault(f"Not finite with features that are {features}: likely {likely}", evidence)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def dtype(s: Subject) -> str:
    """Run in float32 and float64: results have that dtype, and agree."""
    example = s.draw(shift=60)
    single, double = (_moved(s, example, kind) for kind in (torch.float32, torch.float64))
    worst = max(map(gap, single, double))
    if worst > _SINGLE:
        evidence = f"on {example} float32 and float64 differ by {worst:.1g} of the largest"
        raise Fault("Digits cancel: in float32 results are partly noise", evidence)
    return f"float32 and float64 both run, keep their dtype and agree to {worst:.0e}"


def device(s: Subject) -> str:
    """Compare CUDA with the CPU."""
    if not torch.cuda.is_available():
        raise skip("there is no CUDA device here")
    example = s.draw(shift=70)
    worst = max(map(gap, s.run(example), _moved(s, example, torch.device("cuda"))))
    if worst > _SINGLE:
        raise Fault("CUDA and the CPU compute different things", f"they differ by {worst:.1g} of the largest")
    return f"CUDA and the CPU agree to {worst:.0e} ({torch.cuda.get_device_name()})"


def _moved(s: Subject, example: Example, place: torch.dtype | torch.device) -> list[Tensor]:
    """Run model and features in another dtype or on another device; results must be there as well."""
    name, model = str(place).removeprefix("torch."), s.copy()
    try:
        results = s.run(example.to(place), model.to(place))
    except Raised as error:
        cause = f"A tensor made in forward, or a layer that isn't registered, isn't moved to {name}"
        raise Fault(cause, f"a model and features in {name} raise {error}") from error
    for t in results:
        found = t.dtype if isinstance(place, torch.dtype) else torch.device(t.device.type)
        if found != place:
            there = str(found).removeprefix("torch.")
            raise Fault(f"Results are converted to {there}", f"a model and features in {name} give {there}")
    return results


def in_float64(s: Subject) -> Subject:
    """Return the subject in float64, where symmetries hold to many digits, if the model runs in it."""
    try:
        exact = replace(s, model=s.copy().double())
        return exact if all(t.dtype == torch.float64 for t in exact.run(exact.draw())) else s
    except Raised:
        return s
