"""Try ways to call a model until one runs; where none does, find out which sizes are hard-coded in it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from .advice import ADVICE
from .examples import Example, Kind, Structure, graphs_of
from .finding import Finding, Raised, user_code
from .subject import SIZES, Copies, Subject

__all__ = ["MISMATCH", "first_that_runs", "hard_coded"]

_NO_SIZE = ("TypeError", "AttributeError", "NameError", "SystemExit")  # errors that no other size would avoid
MISMATCH = "cannot be multiplied"  # what torch says when x has the wrong width
_NUMBERS = (*range(1, 41), 48, 50, 60, 64, 100, 128, 200, 256)


def first_that_runs(
    subjects: Iterator[Subject], structures: Sequence[Structure], errors: list[tuple[Subject, str]]
) -> tuple[Subject, str] | None:
    """Return the first subject that runs, and what it raised on an earlier structure.

    Args:
        subjects: to try; of those with the same call, the ones that differ only in what it doesn't read are left out.
        structures: to try each on.
        errors: gets the subjects that don't run on any structure, with what they raise on the last and simplest.
    """
    tried, read = set[tuple[object, ...]](), dict[object, tuple[str, ...]]()
    for subject in subjects:
        spec, seen = subject.spec, {*read.get(subject.call, ("edge_attr", "data", "y"))}
        key = (subject.call, spec.features, spec.symbols, spec.edge_features if seen & {"edge_attr", "data"} else None,
               spec.graph_labels if seen & {"y", "data"} else None)  # fmt: skip
        if key in tried:
            continue
        refused = ""
        for structure in structures:
            this = replace(subject, spec=replace(spec, structure=structure))
            if any(isinstance(t, (UninitializedParameter, UninitializedBuffer))
                   for t in [*this.model.parameters(), *this.model.buffers()]):  # fmt: skip
                this = replace(this, model=copy.deepcopy(this.model))
            copies = Copies(this.draw())
            try:
                kinds = _kinds(this, copies)
            except Raised as error:
                read[subject.call] = _read(copies)
                refused, last = refused or str(error), str(error)
                continue
            return replace(this, kinds=kinds, read=_read(copies)), refused
        tried.add(key)
        errors.append((subject, last))
    return None


def _read(copies: Copies) -> tuple[str, ...]:
    return tuple(name for name in vars(copies) if not name.startswith("_"))


def _kinds(s: Subject, copies: Copies) -> tuple[Kind, ...]:
    """Return what the rows of each result are, judged by two batches of different sizes."""
    examples = [s.draw(), s.draw((5, 2, 7, 3), shift=1)]
    results = [s.run(examples[0], copies=copies), s.run(examples[1])]
    if len(results[0]) != len(results[1]):
        raise Raised(f"{len(results[0])} tensors were returned, then {len(results[1])}")
    kinds = [_kind(pair, examples) for pair in zip(*results, strict=True)]
    if "graph" in kinds and "topology" in _read(copies):  # rows of graphs or of roots
        several = s.draw(shift=2, isolated=2)
        try:
            roots = [t.dim() and t.size(0) == len(several.rows()["root"]) for t in s.run(several)]
        except Raised:
            return tuple(kinds)  # "isolated nodes" reports it
        kinds = ["root" if kind == "graph" and of_roots else kind for kind, of_roots in zip(kinds, roots, strict=True)]
    return tuple(kinds)


def _kind(results: Sequence[Tensor], examples: Sequence[Example]) -> Kind:
    rows = [t.size(0) if t.dim() else 1 for t in results]
    counts = [{kind: len(graph) for kind, graph in example.rows().items()} for example in examples]
    for kind in counts[0]:
        if rows == [count[kind] for count in counts]:
            return kind
    return "fixed" if results[0].shape == results[1].shape else "other"


def hard_coded(errors: list[tuple[Subject, str]]) -> Finding | None:
    """Look for sizes with which a model runs that raises on all else, and say what is hard-coded in it."""
    tried = sorted((one for one in errors if not one[1].startswith(_NO_SIZE)), key=lambda one: MISMATCH in one[1])
    for subject, text in tried[:3]:
        numbers = {*_NUMBERS, *(int(n) for n in re.findall(r"\b\d{1,3}\b", text)), *_attributes(subject.model)}
        for structure in ("graphs", "chains"):
            s = replace(subject, spec=replace(subject.spec, structure=structure))
            if _runs(s, (5, 5, 5)) and _runs(s, (7, 7)):
                return _sizes("All graphs of a batch must have the same number of nodes", (7, 7), text)
            for n in sorted(numbers - {0}):
                if _runs(s, (3,) * n) and _runs(s, (5,) * n):
                    return _sizes(f"The batch size is hard-coded as {n}", (3,) * n, text)
                if _runs(s, (n, n, n)) and _runs(s, (n, n)):
                    if _runs(s, (n + 1, n + 2)):
                        return _sizes(f"Every graph needs at least {n} nodes", (n, n, n), text)
                    return _sizes(f"The number of nodes of each graph is hard-coded as {n}", (n, n, n), text)
                for total in ((n - 2, 2), (n,)) if n > 3 else ():
                    if _runs(s, total) and not _runs(s, (n + 1,)):
                        return _sizes(f"The number of nodes is hard-coded as {n}", total, text)
    return None


def _attributes(model: nn.Module) -> set[int]:
    values = [value for module in model.modules() for value in vars(module).values()]
    return {value for value in values if type(value) is int and 0 < value <= 512}


def _runs(s: Subject, sizes: tuple[int, ...]) -> bool:
    try:
        with user_code():
            s.run(s.draw(sizes))
    except Raised:
        return False
    return True


def _sizes(cause: str, sizes: tuple[int, ...], error: str) -> Finding:
    evidence = f"it runs on {graphs_of(sizes)}; on {graphs_of(SIZES)} (general, DAGs, trees, chains) it raises {error}"
    return Finding("sizes", "failed", evidence, ADVICE["sizes"], cause)
