"""Whether a model can be trained and saved: gradients arrive everywhere, its state is complete."""

from __future__ import annotations

import io
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from .finding import Fault, Raised, skip, user_code
from .subject import Subject, gap, tolerance

__all__ = ["input_gradients", "parameter_gradients", "state_dict"]

_DRAWS = 4


def parameter_gradients(s: Subject) -> str:
    """Look for parameters that get no gradient, or only zeros, on each of several draws, in eval and in training."""
    some, zero, count = set[str](), set[str](), 0
    for mode in (False, True):  # some parts are active in one mode only
        model = s.copy().train(mode)
        learned = {n: p for n, p in model.named_parameters() if p.requires_grad}
        if not learned:
            raise skip("no parameter requires a gradient")
        for i in range(_DRAWS):
            try:
                results = s.run(s.draw(shift=80 + i), model, grad=True)
            except Raised:
                if not mode:
                    raise
                break  # "small batches in training" reports it
            for name, grad in zip(learned, s.gradients(results, list(learned.values()), i), strict=True):
                if grad is not None:
                    (some if bool((grad != 0).any()) else zero).add(name)
        count = len(learned)
    missing = [name for name in learned if name not in some]
    if not missing:
        return f"all {count} get one that is not 0"
    cut = [name for name in missing if _matters(s, name)]
    if cut:
        cause = f"The gradient is cut off on the way to {cut[0]}: results depend on it, yet none arrives"
    elif missing[0] in zero:
        cause = f"{missing[0]} has no effect: multiplied by 0, or behind a unit that is never active"
    else:
        cause = f"{missing[0]} is never used: a layer is made and not called"
    names = ", ".join(f"{name} ({'all 0' if name in zero else 'none at all'})" for name in missing[:5])
    rest = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    raise Fault(cause, f"{len(missing)} of {count} get none on {_DRAWS} batches of {s.draw()}: {names}{rest}")


def _matters(s: Subject, name: str) -> bool:
    """Return whether results in eval mode change with a parameter."""
    example, model = s.draw(shift=80), s.copy()
    with torch.no_grad():
        model.get_parameter(name).add_(0.1)
    return any(map(gap, s.run(example), s.run(example, model)))


def input_gradients(s: Subject) -> str:
    """Look for inputs that no result depends on: features and nodes whose gradient is 0 on each of several draws."""
    if s.spec.symbols or not {"x", "data"} & {*s.read}:
        raise skip("symbols have no gradient; those of their embedding are among the parameters'")
    total = torch.zeros(())
    for i in range(_DRAWS):
        example = s.draw(shift=90 + i)
        x = example.x.clone().requires_grad_()
        [grad] = s.gradients(s.run(replace(example, x=x), s.copy(), grad=True), [x], i)
        total = total + (torch.zeros_like(x) if grad is None else grad.abs())
    dead, rows = (total == 0).all(0), (total == 0).all(1)
    if bool(dead.any()):
        x = example.x.clone()
        x[:, dead] += torch.randn(x[:, dead].shape, dtype=x.dtype)
        read = max(map(gap, s.run(example), s.run(replace(example, x=x)))) > 0
        which = "x" if bool(dead.all()) else f"x[:, {dead.nonzero().flatten().tolist()}]"
        cause = "is read, but its gradient is cut off: detach(), .data or rounding" if read else "is never read"
        evidence = f"{int(dead.sum())} of {dead.numel()} features get no gradient on {_DRAWS} batches of {example}"
        raise Fault(f"{which} {cause}", evidence)
    if bool(rows.any()):
        evidence = f"{int(rows.sum())} of {rows.numel()} nodes never get a gradient on {_DRAWS} batches of {example}"
        raise Fault("Results don't depend on some nodes", evidence, "warning")
    return f"all {dead.numel()} features of all {rows.numel()} nodes get one that is not 0"


def state_dict(s: Subject) -> str:
    """Look for parameters outside the state; save it, load it into another model alike, and compare results."""
    known = {id(t) for t in [*s.model.parameters(), *s.model.buffers()]}
    plain: dict[str, bool] = {}
    for path, module in s.model.named_modules():
        for key, value in vars(module).items():
            parts = value.values() if isinstance(value, dict) else value
            held = [
                p
                for part in (parts if isinstance(value, (dict, list, tuple)) else [value])
                for p in (part.parameters() if isinstance(part, nn.Module) else [part])
                if isinstance(p, Tensor)
            ]
            if any(id(p) not in known for p in held):
                plain[f"{path}.{key}".lstrip(".")] = any(p.requires_grad for p in held)
    learned = [name for name, wants in plain.items() if wants]
    if learned:
        evidence = f"{', '.join(learned)} hold tensors that require gradients but are missing from model.parameters()"
        raise Fault(f"Parameters are not registered: {learned[0]} is a plain Python attribute", evidence)
    content, example = io.BytesIO(), s.draw(shift=100)
    cause = f"{next(iter(plain))} is a tensor outside the state" if plain else "The state is not complete"
    try:
        other, how = _another(s)
        with user_code():
            torch.save(s.model.state_dict(), content)
            content.seek(0)
            other.load_state_dict(torch.load(content, weights_only=True))
        worst = max(map(gap, s.run(example), s.run(example, other)))
    except Raised as error:
        raise Fault("The state can't be saved and loaded", f"that raises {error}") from error
    if worst > tolerance(*s.run(example)):
        raise Fault(cause, f"{how} that loads the state differs by {worst:.1g} of the largest on {example}")
    return f"{how} that loads the state gives the same"


def _another(s: Subject) -> tuple[nn.Module, str]:
    """Return a model alike with other weights: made again, or, of an instance, a copy whose state is overwritten."""
    if s.again is None:
        made = s.copy()
        with torch.no_grad():
            for tensor in [*made.parameters(), *made.buffers()]:
                tensor.fill_(1)
        return made, "a copy"
    with torch.random.fork_rng(devices=[]), user_code():
        torch.manual_seed(s.seed + 1)
        made = s.again().to(next((p.dtype for p in s.model.parameters()), torch.float32)).eval()
    if any(isinstance(p, UninitializedParameter) for p in made.parameters()):
        s.run(s.draw(), made)
    return made, "another model of this class"
