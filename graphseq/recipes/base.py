"""What a recipe is: data, model and training under one name, as a pydantic model whose fields are its options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pydantic import PrivateAttr
from torch import Tensor, nn

from ..errors import Words, expected
from ..train import Batch, Split, Splits, Task, Training, class_loss, seed_all

__all__ = ["Metadata", "Prediction", "Recipe", "Source", "Splits"]

Metadata = dict[str, Any]

_SMALL = 128  # hidden units of a small network


@dataclass(frozen=True)
class Source:
    """Where data come from.

    Args:
        root: a data root, read before all others.
        offline: whether never to open a connection.
    """

    root: str | Path | None = None
    offline: bool = False


class Prediction(NamedTuple):
    """An input to predict for.

    Args:
        batch: its targets are ignored.
        names: one per row of the predictions.
        structures: PyG ``Data`` that a picture can show: one with a prediction for each node, or one per prediction;
            trees have `tokens`.
        depths: of each row, where rows are the nodes of a tree in preorder.
        note: how the input was read, printed with the answer.
        places: of the names, what :meth:`Recipe.rows` needs of them.
    """

    batch: Batch
    names: Sequence[str]
    structures: Sequence[Any] = ()
    depths: Sequence[int] = ()
    note: str = ""
    places: Sequence[Any] = ()


class Recipe(Training, ABC):
    """A named job. A family of models is a file in ``graphseq/recipes`` with a subclass of this and its ``RECIPES``.

    Class variables of a subclass describe it, its fields (with :func:`pydantic.Field`) are its options, and its methods
    do the work. Everything that the model and the reading of input need to know about the data goes through
    ``metadata``, which is stored as JSON with the run: so a trained model works without the data.
    """

    summary: ClassVar[str]  # one line: what is predicted from what
    network: ClassVar[str]  # the model, in words
    metrics: ClassVar[Sequence[str]] = ("accuracy",)  # the first is reported
    reports: ClassVar[str] = "test"  # the split that is reported: "test" or "val"
    input: ClassVar[str]  # one line, what `predict` takes
    example: ClassVar[str] = ""  # an input to try
    evaluation: ClassVar[Sequence[str]] = ()  # options that `evaluate` may set anew, since training doesn't read them
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {}  # the options that cross-validation selects from
    loss: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(class_loss)

    _name: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """The name by which :func:`graphseq.recipes.find_recipe` finds it."""
        return self._name or f"{type(self).__module__}:{type(self).__qualname__}"

    @property
    def threads(self) -> int:
        """The threads that training takes by default, 0 for PyTorch's default: small networks gain nothing from
        several, and on a busy machine they wait for each other.
        """
        return 1 if getattr(self, "hidden", 0) <= _SMALL else 0

    @abstractmethod
    def load_data(self, source: Source, seed: int) -> Any:
        """Read the data; the seed may determine a split."""

    @abstractmethod
    def metadata(self, data: Any) -> Metadata:
        """Return what the model and :meth:`read` need to know about the data, as JSON values; ``classes`` are
        the names of the classes.
        """

    @abstractmethod
    def model(self, metadata: Metadata) -> nn.Module:
        """Make the model, with newly drawn weights."""

    @abstractmethod
    def splits(self, data: Any, metadata: Metadata, seed: int) -> Splits:
        """Return the splits of the data; the seed may determine them."""

    def groups(self, model: Any) -> Sequence[Mapping[str, Any]]:
        """Return the optimizer's parameter groups; by default one."""
        return []

    def read(self, text: str, metadata: Metadata, source: Source) -> Prediction:
        """Make a batch of an input to predict for.

        Args:
            text: a text, or the content of the named file.
            metadata: the run's.
            source: where data come from, if they are needed.
        """
        raise expected("run", "a run of a recipe that predicts", Words(f"one of {type(self).__name__}"))

    def rows(self, scores: Tensor, read: Prediction, metadata: Metadata) -> list[dict[str, Any]] | None:
        """Return the predictions of an input, where they are others than a class or a number for each row of scores;
        dictionaries with ``input`` and either ``class`` and ``probability`` or ``value``, a list of words. By default
        None.
        """
        return None

    def describe(self, metadata: Metadata) -> str:
        """Return a description of the data, printed before training; by default empty."""
        return ""

    def labels(self, data: Any) -> Tensor:
        """Return the class of each example, int64 `[n]`, for cross-validation."""
        raise expected("cross_validate", "a recipe with independent examples", Words(type(self).__name__))

    def measure(self, data: Any, metadata: Metadata, train: Tensor) -> Metadata:
        """Return the metadata, completed by statistics of the training examples, such as the mean of their features; by
        default unchanged.

        Args:
            data: the result of :meth:`load_data`.
            metadata: the result of :meth:`metadata`.
            train: indices of the training examples.
        """
        return metadata

    def subset(self, data: Any, metadata: Metadata, indices: Tensor) -> Split:
        """Return a split of the examples with these indices, for cross-validation."""
        raise expected("cross_validate", "a recipe with independent examples", Words(type(self).__name__))

    def task(self, source: Source, seed: int) -> tuple[Task, Metadata]:
        """Read the data and make everything that training needs."""
        data = self.load_data(source, seed)
        metadata = self.metadata(data)
        splits = self.splits(data, metadata, seed)
        return self.assemble(metadata, splits, seed), metadata

    def assemble(self, metadata: Metadata, splits: Splits, seed: int) -> Task:
        """Make the model, its weights drawn with the seed, and combine it with the splits."""
        seed_all(seed)
        model = self.model(metadata)
        return Task(model, *splits, loss=type(self).loss, metrics=self.metrics, groups=self.groups(model))
