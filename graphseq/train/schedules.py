"""Learning rates as functions of the step: nothing to store, so nothing to restore."""

from __future__ import annotations

import math

from .settings import Training

__all__ = ["rate"]


def rate(settings: Training, step: int, steps: int, steps_per_epoch: int) -> float:
    """Return the factor in [0, 1] by which the learning rate is multiplied at a step.

    With t = step / steps, after a linear rise over the share ``warmup`` of the steps:

        constant: 1      linear: 1 - t      cosine: (1 + cos πt) / 2      step: 2^-⌊epoch / step_epochs⌋
        onecycle: (1 - cos π t/0.3) / 2 up from 1/25 to 1 in the first 30 %, then the cosine down to 0

    Args:
        settings: name the schedule.
        step: of the optimizer, from 0.
        steps: of the whole training.
        steps_per_epoch: of one epoch.

    >>> [round(rate(Training(schedule="cosine"), step, 4, 1), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    t = step / steps
    rise = min(1.0, (t + 1 / steps) / settings.warmup) if settings.warmup else 1.0
    if settings.schedule == "linear":
        return rise * (1 - t)
    if settings.schedule == "cosine":
        return rise * (1 + math.cos(math.pi * t)) / 2
    if settings.schedule == "step":
        return rise * 0.5 ** (step // steps_per_epoch // settings.step_epochs)
    if settings.schedule == "onecycle":
        up, start = 0.3, 1 / 25
        if t < up:
            return rise * (start + (1 - start) * (1 - math.cos(math.pi * t / up)) / 2)
        return rise * (1 + math.cos(math.pi * (t - up) / (1 - up))) / 2
    return rise
