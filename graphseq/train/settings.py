"""The training options: those that determine the result, apart from the data and the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from .options import Options

__all__ = ["LRSchedule", "Optimizer", "Training", "may_change"]

Optimizer = Literal["adam", "adamw", "sgd"]
LRSchedule = Literal["constant", "cosine", "linear", "step", "onecycle"]


class Training(Options):
    """The options of training; a recipe adds its own.

    Raises:
        GraphError: there is no such option, or a value is of another type or out of its limits.

    >>> Training(epochs=5).lr
    0.01
    """

    epochs: int = Field(default=100, ge=1, description="maximum number of passes over the training split")
    batch_size: int = Field(default=0, ge=0, description="examples per step; 0 for all of them at once")
    accumulate: int = Field(
        default=1, ge=1, description="parts in which a batch is run, to save memory; their gradients are added up"
    )
    optimizer: Optimizer = Field(default="adam", description="optimizer; sgd has momentum 0.9")
    lr: float = Field(default=0.01, ge=0, description="learning rate, at the highest point of its schedule")
    weight_decay: float = Field(default=0.0, ge=0, description="weight decay, unless the recipe sets its own")
    schedule: LRSchedule = Field(default="constant", description="learning-rate schedule over the epochs")
    warmup: float = Field(
        default=0.0, ge=0, le=1, description="share of the steps over which the learning rate warms up"
    )
    step_epochs: int = Field(
        default=50, ge=1, description="epochs after which the step schedule halves the learning rate"
    )
    clip_norm: float = Field(default=0.0, ge=0, description="maximum norm of the gradient; 0 for no limit")
    clip_value: float = Field(
        default=0.0, ge=0, description="maximum absolute value of a gradient entry; 0 for no limit"
    )
    average: float = Field(
        default=0.0, ge=0, le=1, description="decay of a moving average of the weights, which is evaluated; 0 for none"
    )
    patience: int = Field(
        default=0, ge=0, description="epochs without a better validation result before stopping; 0 to never stop"
    )
    select: Literal["loss", "metric", "last"] = Field(
        default="loss", description="validation value that selects the best epoch; last: none does, the last is taken"
    )
    eval_batch_size: int = Field(
        default=256, ge=1, description="examples per evaluation batch, if batch_size is not 0"
    )


def may_change(option: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether a resumed run may change this option: `epochs` may grow if no schedule depends on the last one.

    >>> may_change("epochs", {"epochs": 5, "schedule": "cosine", "warmup": 0.0}, {"epochs": 9})
    False
    """
    steady = before["schedule"] in ("constant", "step") and not before["warmup"]
    return option == "epochs" and steady and bool(now[option] > before[option])
