"""How to train: the options that decide a result, beside the data and the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .options import option, validate

__all__ = ["Training", "may_go_on"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """The options of training; a recipe adds those of its data and model.

    Raises:
        GraphError: one is of another type than it should be, or out of its limits.

    >>> Training(epochs=5).lr
    0.01
    """

    epochs: int = option(100, "passes over the training split, at most", low=1)
    batch_size: int = option(0, "examples a step; 0 for all of them at once", low=0)
    accumulate: int = option(1, "parts that a batch is run in, to save memory; their gradients add up", low=1)
    optimizer: Literal["adam", "adamw", "sgd"] = option("adam", "adam, adamw or sgd (momentum 0.9)")
    lr: float = option(0.01, "learning rate, the highest of its schedule", low=0)
    weight_decay: float = option(0.0, "of the optimizer, where the recipe does not say otherwise", low=0)
    schedule: Literal["constant", "cosine", "linear", "step", "onecycle"] = option(
        "constant", "how the learning rate goes over the epochs"
    )
    warmup: float = option(0.0, "share of the steps in which the learning rate rises to its highest", low=0, high=1)
    step_epochs: int = option(50, "epochs after which schedule=step halves the learning rate", low=1)
    clip_norm: float = option(0.0, "longest gradient, as one vector; 0 for no limit", low=0)
    clip_value: float = option(0.0, "largest entry of the gradient; 0 for no limit", low=0)
    average: float = option(0.0, "decay of the average of the weights that is judged; 0 for none", low=0, high=1)
    patience: int = option(0, "epochs without a better validation result after which to stop; 0 for never", low=0)
    select: Literal["loss", "metric"] = option("loss", "what of the validation split chooses the epoch")
    eval_batch_size: int = option(256, "examples at once when judging, where batch_size is not 0", low=1)

    def __post_init__(self) -> None:
        """Check the options."""
        validate(self)


def may_go_on(option: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Say whether a run may go on with this option's new value: only with more epochs, where nothing looks at the end.

    >>> may_go_on("epochs", {"epochs": 5, "schedule": "cosine", "warmup": 0.0}, {"epochs": 9})
    False
    """
    steady = before["schedule"] in ("constant", "step") and not before["warmup"]
    return option == "epochs" and steady and bool(now[option] > before[option])
