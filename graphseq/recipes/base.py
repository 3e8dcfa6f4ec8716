"""What a recipe is: data, model and training under one name, as a dataclass whose fields are its options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from ..errors import Words, expected
from ..train import Batch, Split, Task, Training, class_loss, seed_all

__all__ = ["Facts", "Prediction", "Recipe", "Source", "Splits"]

Facts = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Where data come from.

    Args:
        root: a data root, read before all others.
        offline: whether never to open a connection.
    """

    root: str | Path | None = None
    offline: bool = False


class Splits(NamedTuple):
    """The parts of the data."""

    train: Split
    val: Split
    test: Split | None


class Prediction(NamedTuple):
    """An input to predict for.

    Args:
        batch: of it; its targets are ignored.
        names: one per row of the predictions.
        structures: PyG ``Data`` that a picture can show: one with a prediction for each node, or one per prediction;
            trees have `tokens`.
    """

    batch: Batch
    names: Sequence[str]
    structures: Sequence[Any] = ()


@dataclass(frozen=True, kw_only=True)
class Recipe(Training, ABC):
    """A named job. A family of models is a file in ``graphseq/recipes`` with a subclass of this and its ``RECIPES``.

    A subclass says in class variables what it is, in fields (with :func:`graphseq.train.option`) what can be set,
    and in methods what to do. Everything that the model and the reading of input need to know of the data goes
    through ``facts``, which is stored as JSON with the run: so a trained model works where the data are not.
    """

    summary: ClassVar[str]  # one line, what is predicted from what
    network: ClassVar[str]  # the model, in words
    metrics: ClassVar[Sequence[str]] = ("accuracy",)  # the first is reported
    reports: ClassVar[str] = "test"  # the split that is reported: "test" or "val"
    input: ClassVar[str]  # one line, what `predict` takes
    example: ClassVar[str] = ""  # an input to try
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {}  # what cross-validation chooses among
    loss: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(class_loss)

    @abstractmethod
    def data(self, source: Source, seed: int) -> Any:
        """Read the data; the seed may decide a split."""

    @abstractmethod
    def facts(self, data: Any) -> Facts:
        """Return what the model and :meth:`read` need to know of the data, as what JSON can hold; ``classes`` are
        the names of the classes.
        """

    @abstractmethod
    def model(self, facts: Facts) -> nn.Module:
        """Make the model, with weights drawn anew."""

    @abstractmethod
    def splits(self, data: Any, facts: Facts, seed: int) -> Splits:
        """Return the parts of the data; the seed may decide them."""

    def groups(self, model: Any) -> Sequence[Mapping[str, Any]]:
        """Return the optimizer's parameter groups; by default one."""
        return []

    def read(self, text: str, facts: Facts, source: Source) -> Prediction:
        """Make a batch of what somebody wants predicted.

        Args:
            text: a text, or what is in the file that was named.
            facts: of the run.
            source: where data come from, if they are needed.
        """
        raise expected("run", "a run of a recipe that predicts", Words(f"one of {type(self).__name__}"))

    def labels(self, data: Any) -> Tensor:
        """Return the class of each example, int64 `[n]`, for cross-validation."""
        raise expected("cross_validate", "a recipe with independent examples", Words(type(self).__name__))

    def measure(self, data: Any, facts: Facts, train: Tensor) -> Facts:
        """Return the facts with what is measured on the training examples alone, such as the mean of their features;
        by default nothing is.

        Args:
            data: what :meth:`data` returned.
            facts: what :meth:`facts` returned.
            train: indices of the training examples.
        """
        return facts

    def subset(self, data: Any, facts: Facts, indices: Tensor) -> Split:
        """Return a split of the examples with these indices, for cross-validation."""
        raise expected("cross_validate", "a recipe with independent examples", Words(type(self).__name__))

    def task(self, source: Source, seed: int) -> tuple[Task, Facts]:
        """Read the data and make all that training needs."""
        data = self.data(source, seed)
        facts = self.facts(data)
        splits = self.splits(data, facts, seed)
        return self.assemble(facts, splits, seed), facts

    def assemble(self, facts: Facts, splits: Splits, seed: int) -> Task:
        """Make the model, its weights drawn with the seed, and put it together with the splits."""
        seed_all(seed)
        model = self.model(facts)
        return Task(model, *splits, loss=type(self).loss, metrics=self.metrics, groups=self.groups(model))
