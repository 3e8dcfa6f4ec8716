"""Learning-rate schedules by ``torch.optim.lr_scheduler``; each is stepped after every optimizer step."""

from __future__ import annotations

from torch.optim import Optimizer, lr_scheduler

from ..errors import expected
from .settings import Training

__all__ = ["scheduler"]


def scheduler(settings: Training, optimizer: Optimizer, steps_per_epoch: int) -> lr_scheduler.LRScheduler | None:
    """Return the learning-rate scheduler of the settings, None for a constant rate.

    ``cosine`` and ``linear`` decay to 0 over all steps, ``step`` halves the rate every ``step_epochs`` epochs;
    ``warmup`` multiplies each by a linear rise. ``onecycle`` is :class:`~torch.optim.lr_scheduler.OneCycleLR` with
    its defaults: it has a warm-up of its own and cycles Adam's first beta, or SGD's momentum, against the rate.

    Raises:
        GraphError: a warm-up before ``onecycle``.
    """
    steps = settings.epochs * steps_per_epoch
    made: list[lr_scheduler.LRScheduler] = []
    if settings.schedule == "onecycle":
        if settings.warmup:
            raise expected("warmup", "0 with schedule=onecycle, which has its own warm-up", settings.warmup)
        peaks = [group["lr"] for group in optimizer.param_groups]
        return lr_scheduler.OneCycleLR(optimizer, peaks, max(steps, 2))
    if settings.schedule == "cosine":
        made.append(lr_scheduler.CosineAnnealingLR(optimizer, steps))
    if settings.schedule == "linear":
        made.append(lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps))
    if settings.schedule == "step":
        made.append(lr_scheduler.StepLR(optimizer, settings.step_epochs * steps_per_epoch, 0.5))
    rise = round(settings.warmup * steps)
    if rise > 1:
        made.append(lr_scheduler.LinearLR(optimizer, 1 / rise, 1.0, rise - 1))
    return lr_scheduler.ChainedScheduler(made, optimizer) if len(made) > 1 else made[0] if made else None
