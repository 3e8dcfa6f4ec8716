"""Try ways to call a model until one runs; if none does, find out which sizes are hard-coded in it."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from torch.nn.parameter import is_lazy

from .finding import Finding, Raised, fault, user_code
from .graphs import Kind, Structure
from .subject import Given, Subject

__all__ = ["MISMATCH", "first_that_runs", "hard_coded"]

MISMATCH = "cannot be multiplied"  # torch's messages if x has the wrong width
_NO_SIZE = ("TypeError", "AttributeError", "NameError", "SystemExit")  # errors that no other size would avoid
_NUMBERS = (*range(1, 41), 48, 50, 60, 64, 100, 128, 200, 256)
_Sizes = list[tuple[int, ...]]
_HYPOTHESES: dict[
    str, Callable[[int], tuple[_Sizes, _Sizes]]
] = {  # what is hard-coded → sizes that run then, and sizes that don't
    "All graphs of a batch must have the same number of nodes": lambda n: ([(7, 7), (5, 5, 5)], []),
    "The batch size is hard-coded as {}": lambda n: ([(3,) * n, (5,) * n], []),
    "Every graph needs at least {} nodes": lambda n: ([(n, n, n), (n, n), (n + 1, n + 2)], []),
    "The number of nodes of each graph is hard-coded as {}": lambda n: ([(n, n, n), (n, n)], []),
    "The number of nodes is hard-coded as {}": lambda n: ([(n,), (n - 2, 2)], [(n + 1,)]),  # not 1, which broadcasts
}


def first_that_runs(
    subjects: Iterator[Subject], structures: Sequence[Structure]
) -> tuple[tuple[Subject, str] | None, list[tuple[Subject, str]]]:
    """Return the first subject that runs, with what it raised on an earlier structure; and the others' errors."""
    errors: list[tuple[Subject, str]] = []
    for subject in subjects:
        raised: list[str] = []
        for structure in structures:
            this = replace(subject, spec=replace(subject.spec, structure=structure))
            if any(map(is_lazy, [*this.model.parameters(), *this.model.buffers()])):
                this = replace(this, model=copy.deepcopy(this.model))
            given = Given(this.draw())
            try:
                return (replace(this, kinds=_kinds(this, given), read=(*given.read(),)), "".join(raised[:1])), errors
            except Raised as error:
                raised.append(str(error))
        errors.append((subject, raised[-1]))
    return None, errors


def _kinds(s: Subject, given: Given) -> tuple[Kind, ...]:
    """Return what the rows of each result are, from batches of different sizes; only isolated nodes identify roots."""
    graphs = [s.draw(), s.draw((5, 2, 7, 3), shift=1), s.draw(isolated=2)]
    results = [s.run(graphs[0], given=given), s.run(graphs[1])]
    with suppress(Raised):  # "isolated nodes" reports it
        results.append(s.run(graphs[2]))
    if len(results[0]) != len(results[1]):
        raise Raised(f"{len(results[0])} tensors were returned, then {len(results[1])}")
    counts = [{kind: len(rows) for kind, rows in each.rows().items()} for each in graphs]
    found = list[Kind]()
    for tensors in zip(*results, strict=False):
        rows = [t.size(0) if t.dim() else 1 for t in tensors]
        alike = (k for n in (3, 2) for k in counts[0] if rows[:n] == [count[k] for count in counts[: len(rows[:n])]])
        found.append(next(alike, "fixed" if tensors[0].shape == tensors[1].shape else "other"))
    return tuple(found)


def hard_coded(errors: list[tuple[Subject, str]]) -> Finding | None:
    """Look for sizes with which a model runs that otherwise raises, and return what is hard-coded in it."""
    tried = sorted((one for one in errors if not one[1].startswith(_NO_SIZE)), key=lambda one: MISMATCH in one[1])
    structures: tuple[Structure, ...] = ("graphs", "chains")
    for (subject, text), structure in itertools.product(tried[:3], structures):
        s = replace(subject, spec=replace(subject.spec, structure=structure))
        numbers = {*_NUMBERS, *(int(n) for n in re.findall(r"\b[1-9]\d{0,2}\b", text))}
        for n, (cause, hypothesis) in itertools.product(sorted(numbers), _HYPOTHESES.items()):
            run, refuse = hypothesis(n)
            if all(_runs(s, sizes) for sizes in run) and not any(_runs(s, sizes) for sizes in refuse):
                evidence = f"it runs on {s.draw(run[0])}; on {s.draw()} (general, DAGs, trees, chains) it raises {text}"
                return fault(cause.format(n), evidence)
    return None


def _runs(s: Subject, sizes: tuple[int, ...]) -> bool:
    with suppress(Raised), user_code():
        return bool(s.run(s.draw(sizes)))
    return False
