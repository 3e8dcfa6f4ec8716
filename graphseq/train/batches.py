"""Which examples are in which step, for which process: a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from multiprocessing import get_all_start_methods
from typing import TYPE_CHECKING

import torch
import torch.utils.data
from torch import Tensor

from .randomness import derived_seed
from .settings import Training
from .task import Batch, Split

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["draw", "for_evaluation"]


def draw(
    split: Split, settings: Training, fabric: Fabric, seed: int, epoch: int, done: int, workers: int
) -> Iterator[Sequence[Batch]]:
    """Yield this process's batches of an epoch except the first `done`, each as the parts in which it is run."""
    steps = _Steps(split, settings, fabric, seed, epoch)
    rest = range(done, len(steps.chosen))
    if not workers:
        made: Iterator[Sequence[Batch]] = (steps[i] for i in rest)
    else:
        # A generator of its own: the loader draws from it, and must not disturb the model's.
        loader = torch.utils.data.DataLoader(
            steps, batch_size=None, sampler=rest, num_workers=workers, generator=torch.Generator(),
            multiprocessing_context="fork" if "fork" in get_all_start_methods() else None,
        )  # fmt: skip
        made = iter(loader)
    if fabric.device.type == "cpu":
        return made
    return ([part.to(fabric.device) for part in parts] for parts in made)


class _Steps(torch.utils.data.Dataset[Sequence[Batch]]):
    """The batches of one epoch."""

    def __init__(self, split: Split, settings: Training, fabric: Fabric, seed: int, epoch: int) -> None:
        self.split, self.parts = split, settings.accumulate
        self.rank, self.world = fabric.global_rank, fabric.world_size
        if settings.batch_size:
            generator = torch.Generator().manual_seed(derived_seed(seed, epoch))
            self.chosen = torch.randperm(split.size, generator=generator).split(settings.batch_size)
        else:
            self.chosen = (torch.arange(split.size),)

    def __getitem__(self, i: int) -> Sequence[Batch]:
        shares = self.chosen[i][self.rank :: self.world].tensor_split(self.parts)
        if self.world == 1:
            return [self.split.batch(share) for share in shares if len(share)]
        return [_batch(self.split, share)[0] for share in shares]  # the same number in each process


def _batch(split: Split, indices: Tensor) -> tuple[Batch, bool]:
    """Return the batch and whether it has weight: if there are no examples, a batch without weight takes its place."""
    if len(indices):
        return split.batch(indices), True
    return split.batch(torch.tensor([0])).without_weight(), False


def for_evaluation(split: Split, settings: Training, fabric: Fabric) -> list[tuple[Batch, bool]]:
    """Return this process's share of a split in batches, collated once, each with whether it has weight."""
    if not split.size:
        return []
    mine = torch.arange(split.size)[fabric.global_rank :: fabric.world_size]
    size = settings.eval_batch_size if settings.batch_size else max(1, len(mine))
    made = [_batch(split, indices) for indices in mine.split(size)]
    return [(batch.to(fabric.device), counts) for batch, counts in made]
