"""Cross-validation: parts that do not overlap, and a test part that decides nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pydantic import Field
from torch import Tensor

from graphseq.errors import GraphError
from graphseq.recipes import Job, Metadata, Recipe, Source, Splits, cross_validate, find_recipe, hold_out, parts
from graphseq.train import Batch, Split
from tests.train.jobs import Noisy

ASKED: list[set[int]] = []


class Points(Recipe):
    """A perceptron on points."""

    summary: ClassVar[str] = "points"
    network: ClassVar[str] = "perceptron"
    input: ClassVar[str] = "none"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"dropout": (0.0, 0.9), "lr": (0.05, 1e-9)}

    epochs: int = 12
    dropout: float = Field(default=0.5, ge=0, le=1, description="of hidden units")

    def load_data(self, source: Source, seed: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(7)
        x = torch.randn(60, 6, generator=generator)
        return x, (x[:, 0] > 0).long()

    def metadata(self, data: Any) -> Metadata:
        return {"classes": ["left", "right"]}

    def model(self, metadata: Metadata) -> torch.nn.Module:
        return Noisy(6, 2, self.dropout)

    def splits(self, data: Any, metadata: Metadata, seed: int) -> Splits:
        raise AssertionError("not asked for in cross-validation")

    def labels(self, data: Any) -> Tensor:
        return data[1]

    def subset(self, data: Any, metadata: Metadata, indices: Tensor) -> Split:
        ASKED.append(set(indices.tolist()))
        return Split(len(indices), lambda i: Batch((data[0][indices[i]],), data[1][indices[i]]))


def test_folds_are_a_partition_with_the_classes_in_proportion() -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)
    folds = parts(labels, 5, 0)
    tests = torch.cat([test for _, _, test in folds])
    assert sorted(tests.tolist()) == list(range(100))
    for train, val, test in folds:
        assert sorted(torch.cat([train, val, test]).tolist()) == list(range(100))
        assert torch.bincount(labels[test]).tolist() == [12, 6, 2]
        assert torch.bincount(labels[val]).tolist() == [10, 5, 1] or len(val) == 16
    assert [t.tolist() for t in parts(labels, 5, 0)[0]] == [t.tolist() for t in folds[0]]
    assert parts(labels, 5, 1)[0][2].tolist() != folds[0][2].tolist()
    rest, held = hold_out(labels, torch.arange(50, 100), 20, 0)
    assert sorted(torch.cat([rest, held]).tolist()) == list(range(50, 100)) and len(held) == 20


@pytest.mark.parametrize("folds", [1, 11, 0])
def test_too_few_or_many_folds(folds: int, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="`cross_validate`: expected from 2 to 10 folds"):
        parts(torch.tensor([0] * 10 + [1] * 90), folds, 0)


def test_selection_sees_no_test_part(tmp_path: Path) -> None:
    ASKED.clear()
    recipe = Points()
    summary = cross_validate(recipe, tmp_path, folds=3)
    assert list(summary)[:6] == ["recipe", "metric", "mean", "std", "values", "seconds"]
    assert len(summary["values"]) == 3 and summary["mean"] > 70
    assert [choice["lr"] for choice in summary["chosen"]] == [0.05] * 3  # 1e-9 learns nothing
    folds = parts(recipe.labels(recipe.load_data(Source(), 0)), 3, 0)
    asked = iter(ASKED)
    for _, _, test in folds:
        outside = set(range(60)) - set(test.tolist())
        for _ in range(4):  # candidates: a training and a validation part, nothing of the test part
            learn, hold = next(asked), next(asked)
            assert learn | hold == outside and not learn & hold and len(hold) == 4
        held = []
        for _ in range(3):
            learn, hold, judged = next(asked), next(asked), next(asked)
            assert learn | hold == outside and not learn & hold and judged == set(test.tolist())
            held.append(frozenset(hold))
        assert len(set(held)) > 1
    assert next(asked, None) is None
    candidate = json.loads((tmp_path / "fold-0/candidate-0/result.json").read_text())
    assert candidate["test"] == {} and candidate["options"]["dropout"] == 0.0
    run = json.loads((tmp_path / "fold-0/run-1/result.json").read_text())
    assert run["options"]["lr"] == summary["chosen"][0]["lr"]


def test_resuming_runs_nothing_again(tmp_path: Path) -> None:
    first = cross_validate(Points(epochs=2), tmp_path, folds=2, fixed=["lr"])
    assert all(set(choice) == {"dropout"} for choice in first["chosen"])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    again = cross_validate(Points(epochs=2), tmp_path, folds=2, fixed=["lr"], job=Job(resume=True))
    assert again["values"] == first["values"]
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    for resume, message in ((False, "without a run, got .* a finished cross-validation"), (True, "with these options")):
        with pytest.raises(GraphError, match=f"`out`: expected a.* {message}"):
            cross_validate(Points(epochs=3), tmp_path, folds=2, job=Job(resume=resume))


def test_one_graph_cannot_be_cut(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="`cross_validate`: expected a recipe with independent examples"):
        cross_validate(find_recipe("karate-gcn"), tmp_path / "x", folds=2)
    assert not (tmp_path / "x").exists()
