"""Whether a model can be trained and kept: gradients arrive everywhere, its state can be saved."""

from __future__ import annotations

import io
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from .calling import Probe, call
from .compare import gap, tolerance
from .finding import Finding, failed, passed, skipped, told, warning

__all__ = ["input_gradients", "parameter_gradients", "state_dict"]

_DRAWS = 4


def _objective(results: list[Tensor], seed: int) -> Tensor | None:
    """Return a sum of all results with weights at random, so that none cancel, or None if nothing is differentiable."""
    g = torch.Generator().manual_seed(seed)
    parts = [(t * torch.randn(t.shape, generator=g).to(t)).sum() for t in results if t.requires_grad]
    return torch.stack([p.double() for p in parts]).sum() if parts else None


def parameter_gradients(probe: Probe) -> Finding:
    """Look for parameters that no result depends on: whose gradient is None, or 0, on every one of several draws."""
    check, missing = "gradients of parameters", dict[str, str]()
    for mode in (False, True):  # some parts work in one mode alone
        model = probe.copy().train(mode)
        learnt = {n: p for n, p in model.named_parameters() if p.requires_grad}
        if not learnt:
            return skipped(check, "the model has no parameters that want a gradient")
        reached: dict[str, str] = dict.fromkeys(learnt, "none")
        for i in range(_DRAWS):
            try:
                loss = _objective(call(model, probe.form, probe.sample(shift=80 + i)), i)
            except Exception:
                if not mode:
                    raise
                break
            grads = [None] * len(learnt) if loss is None else torch.autograd.grad(
                loss, list(learnt.values()), allow_unused=True
            )  # fmt: skip
            for name, grad in zip(learnt, grads, strict=True):
                if grad is not None and reached[name] != "some":
                    reached[name] = "some" if bool((grad != 0).any()) else "zero"
        now = {name: state for name, state in reached.items() if state != "some"}
        missing = {n: s for n, s in now.items() if n in missing} if mode else now
        if not missing:
            return passed(check, f"all {len(learnt)} get one that is not 0")
    names = [f"{n} ({'none at all' if s == 'none' else 'all 0'})" for n, s in missing.items()]
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return failed(
        check, f"{len(names)} of {len(learnt)} get none on {_DRAWS} graphs: {', '.join(names[:5])}{rest}",
        "They stay as they were drawn, whatever the training. Look for layers that are made and not called, detach(), "
        ".data, torch.no_grad(), argmax or rounding on the way, and a part that is multiplied by 0 or never active.",
    )  # fmt: skip


def input_gradients(probe: Probe) -> Finding:
    """Look for inputs that no result depends on: features and nodes whose gradient is 0 on each of several draws."""
    check = "gradients of inputs"
    if probe.form.symbols:
        return skipped(check, "symbols have no gradient; those of their embedding are among the parameters'")
    model, total = probe.copy(), torch.zeros(0)
    for i in range(_DRAWS):
        sample = probe.sample(shift=90 + i)
        x = sample.x.clone().requires_grad_()
        loss = _objective(call(model, probe.form, replace(sample, x=x)), i)
        [grad] = [None] if loss is None or not loss.requires_grad else torch.autograd.grad(loss, [x], allow_unused=True)
        size = torch.zeros_like(x) if grad is None else grad.abs()
        total = size if not i else total + size
    columns, rows = (total == 0).all(0), (total == 0).all(1)
    if bool(columns.any()):
        which = "no feature" if bool(columns.all()) else f"{int(columns.sum())} of {columns.numel()} features never"
        return failed(
            check, f"{which} {'gets' if bool(columns.all()) else 'get'} a gradient on {_DRAWS} graphs",
            "Results don't depend on them, or not in a way that can be learnt. Look for detach(), .data, a cast to "
            "integers, argmax, or a slice of x that leaves columns out.",
        )  # fmt: skip
    if bool(rows.any()):
        return warning(
            check, f"{int(rows.sum())} of {rows.numel()} nodes never get a gradient on {_DRAWS} graphs",
            "Results don't depend on these nodes: meant, perhaps, if nodes are chosen by a score; a fault if they are "
            "chosen by their number.",
        )  # fmt: skip
    return passed(check, f"all {columns.numel()} features of all {rows.numel()} nodes get one that is not 0")


def state_dict(probe: Probe) -> Finding:
    """Save the state, load it into another model made alike, and compare what both give."""
    check, sample = "state_dict", probe.sample(shift=100)
    advice = (
        "A checkpoint doesn't bring the model back. Keep sub-modules in nn.ModuleList or nn.ModuleDict, not in lists "
        "and dicts; tensors as nn.Parameter or by register_buffer; and draw nothing at random outside of them."
    )
    content = io.BytesIO()
    try:
        torch.save(probe.model.state_dict(), content)
        content.seek(0)
        saved = torch.load(content, weights_only=True)
        other, how = _another(probe)
        other.load_state_dict(saved)
    except Exception as error:
        return failed(check, f"saving and loading raises {told(error)}", advice)
    before = probe.run(sample)
    with torch.no_grad():
        after = call(other, probe.form, sample)
    worst = max(gap(a, b) for a, b in zip(before, after, strict=True))
    if worst > tolerance(*before):
        return failed(check, f"{how} that loads the state differs by {worst:.1g} of the largest", advice)
    return passed(check, f"{how} that loads the state gives the same")


def _another(probe: Probe) -> tuple[nn.Module, str]:
    """Return a model alike with other weights: made again, or, of an instance, a copy whose state is overwritten."""
    dtype = next((p.dtype for p in probe.model.parameters()), torch.float32)
    if probe.made.again is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(probe.seed + 1)
            made = probe.made.again().to(dtype).eval()
            if any(isinstance(p, UninitializedParameter) for p in made.parameters()):
                call(made, probe.form, probe.sample())
        return made, "another model of this class"
    made = probe.copy()
    with torch.no_grad():
        for tensor in [*made.parameters(), *made.buffers()]:
            tensor.copy_(torch.ones_like(tensor))
    return made, "a copy"
