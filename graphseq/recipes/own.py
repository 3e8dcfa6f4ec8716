"""Shared base class of the recipes on files of your own: splits, classes, balance."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import AfterValidator, Field, WithJsonSchema
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ..datasets.own import LABELS, Columns, Examples, number_of
from ..errors import Words, expected
from ..train import Split, Splits, Task, class_names, class_weights, deal
from .base import Metadata, Prediction, Recipe, Source

__all__ = ["OwnData", "OwnRecipe", "one_of"]

_SHOWN = 10  # classes whose counts are printed
_MOST_CLASSES = 1000
_LONGEST_PATH = 1000


def one_of(argument: str, names: Sequence[str]) -> tuple[AfterValidator, WithJsonSchema]:
    """Return the type of an option whose value is one of some names; these come from the library."""

    def known(name: str) -> str:
        if name not in names:
            raise expected(argument, f"one of {', '.join(names)}", name)
        return name

    return AfterValidator(known), WithJsonSchema({"enum": list(names)})


@dataclass(frozen=True)
class OwnData:
    """The examples of each part, and the checksum of each file."""

    parts: dict[str, Examples]
    files: dict[str, str]


class OwnRecipe(Recipe):
    """A network on your own data.

    The parts are files (val, test), or named in a column (split_column, by default one called split), or shares of the
    data, drawn with the seed, each class in the same proportion. Classes, vocabularies and the scales of numbers are
    those of the training part.
    """

    columns: ClassVar[str] = ""  # the option that names the column of the inputs
    suffixes: ClassVar[Sequence[str]] = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")  # of files of examples

    data: str = Field(default="", description="the training file, or for graphs a folder")
    val: str = Field(default="", description="a file of validation examples")
    test: str = Field(default="", description="a file of test examples")
    label_column: str = Field(default="", description=f"column or key of the labels; by default {', '.join(LABELS)}")
    split_column: str = Field(default="", description="column or key with train, val or test; by default split")
    val_share: float = Field(
        default=0.1, ge=0, lt=1, description="share of validation examples, unless given by a file or column"
    )
    test_share: float = Field(
        default=0.1, ge=0, lt=1, description="share of test examples, unless given by a file or column"
    )
    target: Literal["class", "number"] = Field(default="class", description="whether labels are classes or numbers")
    balanced: bool = Field(default=False, description="whether all classes have the same weight in training")

    @property
    def metrics(self) -> Sequence[str]:  # type: ignore[override]
        """Accuracy and macro-averaged F1 of classes; of numbers the root mean squared error and the mean absolute."""
        return ("accuracy", "f1") if self.target == "class" else ("rmse", "mae")

    @property
    def reports(self) -> str:  # type: ignore[override]
        """The test split; without one the validation split."""
        return "test" if self.test or self.test_share else "val"

    @abstractmethod
    def examples(self, path: Path, argument: str, labelled: bool, metadata: Metadata | None) -> Examples:
        """Read a file.

        Args:
            path: of the file.
            argument: its name in messages.
            labelled: whether there must be labels.
            metadata: of the run, where there is one.
        """

    @abstractmethod
    def from_text(self, text: str, metadata: Metadata) -> Examples:
        """Read one example from a text, to predict for."""

    @abstractmethod
    def learn(self, train: Examples) -> Metadata:
        """Return what is computed from the training part, apart from its classes."""

    @abstractmethod
    def network_of(self, metadata: Metadata, outputs: int) -> nn.Module:
        """Make the network."""

    @abstractmethod
    def split(self, examples: Examples, metadata: Metadata, y: Tensor, weight: Tensor | None, use: str) -> Split:
        """Return a split of some examples.

        Args:
            examples: what it has.
            metadata: of the run.
            y: their targets.
            weight: of each in the loss.
            use: "train", "evaluate", "predict", or "nodes" to predict for each node.
        """

    def names(self, examples: Examples, use: str) -> Sequence[str]:
        """Return the name of each prediction."""
        return examples.names

    def structures(self, examples: Examples, metadata: Metadata) -> Sequence[Any]:
        """Return the structures that a picture can show; none for texts and sequences."""
        return ()

    def note(self, examples: Examples, metadata: Metadata) -> str:
        """Return what is noteworthy about examples to predict for; "" if nothing is."""
        return ""

    def depths(self, examples: Examples) -> Sequence[int]:
        """Return the depth of each prediction's node in its tree; none for anything but trees."""
        return ()

    def load_data(self, source: Source, seed: int) -> OwnData:
        """Read the files, and assign the examples to the parts."""
        if not self.data:
            raise expected("data", "a file of yours (--data FILE)", Words("none"))
        if self.reports == "val" and not (self.val or self.val_share):
            raise expected("val_share", "a share above 0 where there is no test part", self.val_share)
        paths = {"train": self.data, "val": self.val, "test": self.test}
        given = {part: Path(path).expanduser() for part, path in paths.items() if path}
        names = {"train": "data", "val": "val", "test": "test"}
        read = {part: self.examples(path, names[part], True, None) for part, path in given.items()}
        parts = self._dealt(read, seed)
        if "test" not in parts and self.reports == "test":
            raise expected("split_column", "test examples (--test-share 0 goes without)", Words("none"))
        if "val" not in parts and self.reports == "val":
            raise expected("split_column", "val examples", Words("none"))
        return OwnData(parts, {part: _checksum(path) for part, path in given.items()})

    def _dealt(self, read: dict[str, Examples], seed: int) -> dict[str, Examples]:
        """Split `data` into the parts that no other file provides."""
        main, others = read["train"], {part: found for part, found in read.items() if part != "train"}
        said = [i for i, part in enumerate(main.parts) if part is not None]
        if not said:
            shares = {"val": self.val_share, "test": self.test_share}
            asked = {part: 0.0 if part in others else share for part, share in shares.items()}
            usable = self._labelled(main, "data")
            labels: Tensor | int = len(usable)
            if self.target == "class":
                some = main.take(usable)
                labels = some.classes(self._classes(some))
            dealt = deal(labels, **asked, seed=seed) if any(asked.values()) else (torch.arange(len(usable)),)
            cut = zip(("train", "val", "test"), dealt, strict=False)
            return {part: main.take([usable[i] for i in at.tolist()]) for part, at in cut if len(at)} | others
        usable = self._labelled(main, "data")
        found = {part: [i for i in said if main.parts[i] == part] for part in ("train", "val", "test")}
        if lost := [main.places[i] for i in usable if main.parts[i] is None]:
            raise expected("split_column", "train, val or test for each example", Words(f"nothing in {lost[0]}"))
        if doubled := [part for part in others if found[part]]:
            raise expected(doubled[0], "no file for a part that a column already has", getattr(self, doubled[0]))
        if not found["train"]:
            raise expected("split_column", "train examples", Words("none"))
        return {part: main.take(at) for part, at in found.items() if at} | others

    def _labelled(self, examples: Examples, argument: str) -> list[int]:
        """Return the examples with a label; here all must have one."""
        if None in examples.labels:
            where = examples.places[examples.labels.index(None)]
            raise expected(argument, "a label for each example", Words(f"none in {where}"))
        return list(range(len(examples)))

    def all_labels(self, examples: Examples) -> list[str | None]:
        """Return all labels, from which the classes are taken."""
        return examples.labels

    def _classes(self, train: Examples) -> list[str]:
        labels = self.all_labels(train)
        found: list[str] = class_names([label for label in labels if label is not None])
        if not found:
            raise expected("label_column", "labels in the training part", Words("none"))
        numbers = {name: number_of(name) for name in found}
        broken = [name for name, number in numbers.items() if number and math.isfinite(number) and number % 1]
        if broken and None not in numbers.values():
            what = "classes as labels; numbers are predicted with --target number"
            raise expected("label_column", what, Words(f"numbers such as {broken[0]}"))
        whole = {number: name for name, number in numbers.items() if "." not in name}
        twice = [name for name, number in numbers.items() if number is not None and "." in name and number in whole]
        if twice:
            spellings = Words(f"{whole[numbers[twice[0]]]!r} and {twice[0]!r}")
            raise expected("label_column", "one spelling of each class", spellings)
        if len(found) == 1:
            raise expected("label_column", "at least two classes", Words(f"only {found[0]!r}"))
        if len(found) > _MOST_CLASSES:
            raise expected("label_column", f"at most {_MOST_CLASSES:,} classes", Words(f"{len(found):,}"))
        return found

    def metadata(self, data: OwnData) -> Metadata:
        """Return classes, words, scales and a constant answer's metric, all of the training part, and checksums."""
        train = data.parts["train"]
        held = {part: found for part, found in data.parts.items() if part != "train"}
        found: Metadata = {"files": data.files, "sizes": {part: len(each) for part, each in data.parts.items()}}
        found["about"] = train.about
        if self.target == "number":
            y = train.numbers().double()
            mean, std = float(y.mean()), float(y.std(correction=0))
            if std < 1e-5 * abs(mean) and len(set(train.labels)) > 1:  # beyond float32
                what = "numbers that differ by more than a hundred-thousandth of their mean; subtract a constant"
                raise expected("label_column", what, Words(f"a mean of {mean:g} and a deviation of {std:g}"))
            found["scale"] = [mean, std if std > 0 else 1.0]
            errors = {part: (each.numbers().double() - mean) for part, each in held.items()}
            found["baseline"] = {part: float(error.square().mean().sqrt()) for part, error in errors.items()}
        else:
            classes = found["classes"] = self._classes(train)
            count = Counter(train.labels)
            found["counts"] = [count[name] for name in classes]
            usual = max(range(len(classes)), key=lambda c: found["counts"][c])
            hits = {part: (each.classes(classes) == usual).double().mean() for part, each in held.items()}
            found["baseline"] = {part: round(100 * float(share), 4) for part, share in hits.items()}
        kinds = {part: sorted(set(each.labels), key=str) for part, each in held.items()}
        found["alone"] = {part: labels[0] for part, labels in kinds.items() if len(labels) == 1 and "classes" in found}
        return found | self.learn(train)

    def describe(self, metadata: Metadata) -> str:
        """Describe the data in a few lines."""
        sizes = ", ".join(f"{count:,} {part}" for part, count in metadata["sizes"].items())
        lines = [f"{'; '.join([self.data, *metadata['about']])}: {sizes}"]
        if "classes" in metadata:
            total = sum(metadata["counts"])
            pairs = list(zip(metadata["classes"], metadata["counts"], strict=True))
            told = ", ".join(f"{name} {count:,} ({count / max(total, 1):.0%})" for name, count in pairs[:_SHOWN])
            more = f", and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
            lines.append(f"{len(pairs)} classes in the training part: {told}{more}")
        else:
            lines.append("labels: mean {:.4g}, standard deviation {:.4g}".format(*metadata["scale"]))
        for part, name in metadata["alone"].items():
            lines.append(f"all {part} examples are of one class: {name}")
        return "\n".join(lines)

    def model(self, metadata: Metadata) -> nn.Module:
        """Make the network; predicted numbers have the scale of the labels."""
        classes = metadata.get("classes")
        made = self.network_of(metadata, 1 if classes is None else len(classes))
        return made if classes is not None else _Scaled(made, *metadata["scale"])

    def splits(self, data: OwnData, metadata: Metadata, seed: int) -> Splits:
        """Return the parts."""
        made: dict[str, Split] = {}
        for part, examples in data.parts.items():
            y = self._targets(examples, metadata, part if part != "train" else "data")
            weight = class_weights(y) if part == "train" and self.balanced and self.target == "class" else None
            made[part] = self.split(examples, metadata, y, weight, "train" if part == "train" else "evaluate")
        return Splits(made["train"], made.get("val"), made.get("test"))

    def _targets(self, examples: Examples, metadata: Metadata, argument: str) -> Tensor:
        return examples.numbers(argument) if "scale" in metadata else examples.classes(metadata["classes"], argument)

    def assemble(self, metadata: Metadata, splits: Splits, seed: int) -> Task:
        """Make the model and combine it with the splits; the loss of numbers is that of standardised numbers."""
        made = super().assemble(metadata, splits, seed)
        if self.target == "class":
            return made
        return dataclasses.replace(made, loss=functools.partial(_squared, unit=metadata["scale"][1]))

    def labelled(self, path: Path, metadata: Metadata) -> tuple[Split, float]:
        """Return a split of a labelled file, to evaluate, and the metric of a constant answer, as in training."""
        examples = self.examples(path, "input", True, metadata)
        examples = examples.take(self._labelled(examples, "input"))
        y = self._targets(examples, metadata, "input")
        if "scale" in metadata:
            base = float((y.double() - metadata["scale"][0]).square().mean().sqrt())
        else:
            usual = max(range(len(metadata["classes"])), key=lambda c: metadata["counts"][c])
            base = round(100 * float((y == usual).double().mean()), 4)
        return self.split(examples, metadata, y, None, "evaluate"), base

    def unlabelled(self, path: Path, metadata: Metadata, *, nodes: bool = False) -> tuple[Split, Sequence[str], str]:
        """Return a split of a file with or without labels, to predict for, the name of each prediction, and a note."""
        examples = self.examples(path, "input", False, metadata)
        split, names = self._to_predict(examples, metadata, "nodes" if nodes else "predict")
        return split, names, self.note(examples, metadata)

    def _to_predict(self, examples: Examples, metadata: Metadata, use: str) -> tuple[Split, Sequence[str]]:
        y = torch.zeros(len(examples), dtype=torch.int64)
        return self.split(examples, metadata, y, None, use), self.names(examples, use)

    def file(self, source: str) -> Path | None:
        """Return the file or folder of examples that is named; None if the text is the input itself."""
        if "\n" in source or len(source) > _LONGEST_PATH:
            return None
        path = Path(source).expanduser()
        if path.is_dir():
            return path
        return path if path.suffix.lower() in self.suffixes and (path.is_file() or " " not in source) else None

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Read one example."""
        examples = self.from_text(text, metadata)
        split, names = self._to_predict(examples, metadata, "nodes")
        batch = split.batch(torch.arange(split.size))
        shown = self.structures(examples, metadata)
        return Prediction(batch, names, shown, self.depths(examples), self.note(examples, metadata))

    def _columns(self, labelled: bool) -> Columns:
        column = getattr(self, self.columns) if self.columns else ""
        return Columns(input=column, label=self.label_column, split=self.split_column, labelled=labelled)


class _Scaled(nn.Module):
    """A network whose single output is rescaled to the labels."""

    def __init__(self, model: nn.Module, mean: float, std: float) -> None:
        super().__init__()
        self.model, self.mean, self.std = model, mean, std

    def forward(self, *inputs: Any) -> Tensor:
        scores: Tensor = self.model(*inputs) * self.std + self.mean
        return scores


def _squared(scores: Tensor, target: Tensor, *, unit: float) -> Tensor:
    """Return squared errors in units of the labels' standard deviation: training mustn't depend on the labels' unit."""
    return mse_loss(scores.reshape(target.shape) / unit, target / unit, reduction="none")


def _checksum(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a folder with their names."""
    found = hashlib.sha256()
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.is_file():
            found.update(file.name.encode() if path.is_dir() else b"")
            found.update(file.read_bytes())
    return found.hexdigest()
