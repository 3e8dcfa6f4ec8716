"""A training under way, in one process: the step, the judging, and a state that can be stored and taken up again."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from ..errors import GraphError, Words, expected
from .batches import draw, judged, steps_in
from .metrics import measure, metric
from .randomness import random_states, seed_all, set_random_states
from .schedules import rate
from .settings import Training, may_go_on
from .task import Batch, Split, Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["MAX_SEED", "Session"]

MAX_SEED = 2**31  # seeds are below it


class Session:
    """Model, optimizer, the weights' average, the best weights so far, and how far training has come.

    Args:
        task: what is trained; its model is moved to the device and trained in place.
        settings: how.
        fabric: launched; says device, precision and processes.
        seed: of the order of examples, of dropout and of whatever else the model draws.
        workers: processes that prepare batches.
    """

    def __init__(self, task: Task, settings: Training, fabric: Fabric, seed: int, workers: int = 0) -> None:
        task.check()
        if not isinstance(settings, Training):
            raise expected("settings", "a graphseq.train.Training", settings)
        if not isinstance(seed, int) or not 0 <= seed < MAX_SEED:
            raise expected("seed", "an integer from 0 to 2**31 - 1", seed)
        self.task, self.settings, self.fabric, self.seed, self.workers = task, settings, fabric, seed, workers
        seed_all(seed + 2**31 * fabric.global_rank)  # each process its own dropout
        self.model = task.model
        optimizer = _optimizer(task, settings, fabric.device)
        self.wrapped, self._stepper = fabric.setup(self.model, optimizer)
        self._is_plain = fabric.world_size == 1 and _is_plain(fabric)
        if self._is_plain:  # Fabric's wrappers have nothing to do here, and cost some 45 µs a step
            self.wrapped, self._stepper = self.model, optimizer
        self.optimizer = optimizer
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self.average = _average(self.model, settings)
        self.judged_model: nn.Module = self.model if self.average is None else self.average.module
        self._judged = {id(split): judged(split, settings, fabric) for split in (task.val, task.test) if split}
        self._now = self.judged_model.state_dict()  # the weights themselves, not a copy of them
        self.best = {name: value.clone() for name, value in self._now.items()}
        self.steps_per_epoch = steps_in(task.train, settings)
        self.epoch = self.batch = 0  # epochs done, and steps done in the one under way
        self.best_epoch, self.best_value = 0, math.nan
        self._losses = torch.zeros((), device=fabric.device)
        self._weights = 0.0
        self._whole: list[Sequence[Batch]] = []  # the one batch, where it is of all examples

    @property
    def _precision(self) -> str:
        return str(self.fabric.strategy.precision.precision)

    # -- the step -----------------------------------------------------------------------------------------------

    @property
    def step_count(self) -> int:
        """Return the number of steps taken."""
        return self.epoch * self.steps_per_epoch + self.batch

    @property
    def is_over(self) -> bool:
        """Say whether all epochs are done, or none of the last ``patience`` was better."""
        waited = self.settings.patience and self.epoch - self.best_epoch >= self.settings.patience
        return self.epoch >= self.settings.epochs or bool(waited and not self.batch)

    def rest_of_epoch(self) -> Iterator[Sequence[Batch]]:
        """Yield the batches of the steps that are still to be taken in this epoch, each in its parts."""
        if self._whole:
            return iter(self._whole)
        drawn = draw(self.task.train, self.settings, self.fabric, self.seed, self.epoch, self.batch, self.workers)
        if not self.settings.batch_size:
            self._whole = list(drawn)
            return iter(self._whole)
        return drawn

    def step(self, parts: Sequence[Batch]) -> None:
        """Take one step: the gradient of the mean loss over all parts and processes, clipped, and the optimizer's."""
        if not self.batch:
            self.wrapped.train()
        world = self.fabric.world_size
        total = sum(_weight(part) for part in parts)
        if world > 1:
            total = float(self._all_reduce(torch.tensor(total, device=self.fabric.device), "sum"))
        for i, part in enumerate(parts, start=1):
            with self._sync_after(i == len(parts)):
                # DistributedDataParallel takes the mean over processes, so the sum of theirs is `world` times it.
                loss = self._loss(part, world / total if total else 0.0, 1 / len(parts))
                loss.backward() if self._is_plain else self.fabric.backward(loss)
            self._losses += loss.detach() * total
        self._weights += total
        self._clip()
        self._set_rate()
        self._stepper.step()
        self._stepper.zero_grad()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.batch += 1

    def _loss(self, part: Batch, scale: float, share: float) -> Tensor:
        output = self.wrapped(*part.inputs)
        scores, extra = output if isinstance(output, tuple) else (output, None)
        losses = self.task.loss(part.rows(scores), part.target)
        if losses.shape != part.target.shape[:1]:
            raise expected("loss", f"one number for each of {len(part.target)} targets (reduction='none')", losses)
        if part.weight is None and scale * len(losses) == 1:
            loss = losses.mean()
        else:
            loss = (losses if part.weight is None else losses * part.weight).sum() * scale
        return loss if extra is None else loss + extra * share

    def _sync_after(self, last: bool) -> contextlib.AbstractContextManager[None]:
        if self.fabric.world_size == 1 or last:
            return contextlib.nullcontext()
        return self.fabric.no_backward_sync(self.wrapped)

    def _clip(self) -> None:
        if self.settings.clip_value:
            self.fabric.clip_gradients(self.wrapped, self._stepper, clip_val=self.settings.clip_value)
        if self.settings.clip_norm:
            norm = self.settings.clip_norm
            self.fabric.clip_gradients(self.wrapped, self._stepper, max_norm=norm, error_if_nonfinite=False)

    def _set_rate(self) -> None:
        if self.settings.schedule == "constant" and not self.settings.warmup:
            return
        steps = self.settings.epochs * self.steps_per_epoch
        factor = rate(self.settings, self.step_count, steps, self.steps_per_epoch)
        for group, base in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = base * factor

    # -- the judging --------------------------------------------------------------------------------------------

    def end_epoch(self) -> dict[str, float]:
        """Judge the validation split, keep the weights if they are the best so far, and return the epoch's record."""
        losses = self._losses
        if self.fabric.world_size > 1:
            losses = self._all_reduce(losses, "mean")
        loss = float(losses) / self._weights if self._weights else math.nan
        if not math.isfinite(loss):
            raise GraphError(
                f"the loss is {loss} in epoch {self.epoch + 1}; try a lower learning rate (lr) or clip_norm"
            )
        self._losses.zero_()
        self._weights = 0.0
        self.epoch, self.batch = self.epoch + 1, 0
        record = {"epoch": self.epoch, "step": self.step_count, "loss": loss}
        if self.task.val is not None:
            record |= {f"val_{name}": value for name, value in self.judge(self.task.val).items()}
        record["lr"] = self.optimizer.param_groups[0]["lr"]
        self._keep_if_best(record)
        return record

    @torch.no_grad()
    def outputs(self, split: Split) -> tuple[Tensor, Tensor]:
        """Return the scores and targets of a whole split, gathered from all processes."""
        self.judged_model.eval()
        batches = self._judged.get(id(split)) or judged(split, self.settings, self.fabric)
        scores, targets = [], []
        for batch, counts in batches:
            with contextlib.nullcontext() if self._is_plain else self.fabric.autocast():
                output = self.judged_model(*batch.inputs)
            output = output[0] if isinstance(output, tuple) else output
            scores.append(batch.rows(output)[: None if counts else 0].float())
            targets.append(batch.target[: None if counts else 0])
        found = (scores[0], targets[0]) if len(scores) == 1 else (torch.cat(scores), torch.cat(targets))
        if self.fabric.world_size == 1:
            return found
        return torch.cat(self._all_gather(found[0])), torch.cat(self._all_gather(found[1]))

    def judge(self, split: Split) -> dict[str, float]:
        """Return the mean loss and the metrics of a split."""
        scores, target = self.outputs(split)
        loss = float(self.task.loss(scores, target).mean())
        return {"loss": loss, **measure(self.task.metrics, scores, target)}

    def _keep_if_best(self, record: Mapping[str, float]) -> None:
        name = "loss" if self.settings.select == "loss" else self.task.metrics[0]
        value = record.get(f"val_{name}", -float(self.epoch))  # without validation the last epoch is the best
        upwards = name != "loss" and metric(name).larger_is_better
        better = math.isnan(self.best_value) or (value > self.best_value if upwards else value < self.best_value)
        if better and not math.isnan(value):
            self.best_epoch, self.best_value = self.epoch, value
            for name, kept in self.best.items():
                kept.copy_(self._now[name])

    def use_best(self) -> None:
        """Give the model the weights of the best epoch."""
        self.model.load_state_dict(self.best)
        self.judged_model = self.model

    # -- the state ----------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that decides how training goes on; every process must call it."""
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average/{name}": value for name, value in self.average.state_dict().items()}
        for i, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{i}/{name}": torch.as_tensor(value) for name, value in values.items()}
        for name, value in random_states().items():
            tensors |= {f"random/{rank}/{name}": state for rank, state in enumerate(self._all_gather(value))}
        tensors["losses"] = torch.stack(self._all_gather(self._losses))
        numbers = {"epoch": self.epoch, "batch": self.batch, "weights": self._weights, "seed": self.seed}
        best = {"best_epoch": self.best_epoch, "best_value": self.best_value}
        machine = {"processes": self.fabric.world_size, "precision": self._precision}
        options = {name: getattr(self.settings, name) for name in Training.model_fields}
        return tensors, numbers | best | machine | {"options": options}

    def _all_gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all processes; they may differ in length."""
        if self.fabric.world_size == 1:
            return [tensor]
        from torchmetrics.utilities.distributed import gather_all_tensors

        return gather_all_tensors(tensor.to(self.fabric.device))

    def _all_reduce(self, tensor: Tensor, how: str) -> Tensor:
        return cast(Tensor, self.fabric.all_reduce(tensor, reduce_op=how))

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], best: Mapping[str, Tensor]) -> None:
        """Take up what :meth:`state` gave, and the best weights.

        Raises:
            GraphError: it belongs to another model, seed or number of processes.
        """
        mine = {"seed": self.seed, "processes": self.fabric.world_size, "precision": self._precision}
        before = dict(meta["options"])
        now = {name: getattr(self.settings, name) for name in before}
        for name, value in [*mine.items(), *now.items()]:
            began = meta[name] if name in mine else before[name]
            if began != value and (name in mine or not may_go_on(name, before, now)):
                raise expected(name, f"{began!r}, with which the run began", value)
        try:
            self.model.load_state_dict(_under("model", tensors))
            if self.average is not None:
                self.average.load_state_dict(_under("average", tensors))
            state = self.optimizer.state_dict()
            for key, value in _under("optimizer", tensors).items():
                index, _, name = key.partition("/")
                state["state"].setdefault(int(index), {})[name] = value
            self.optimizer.load_state_dict(state)
            for name, kept in self.best.items():
                kept.copy_(best[name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise expected("resume", "a checkpoint of this model", Words(f"another: {error}")) from None
        set_random_states(_under(f"random/{self.fabric.global_rank}", tensors))
        self._losses.copy_(tensors["losses"][self.fabric.global_rank])
        self.wrapped.train()
        self.epoch, self.batch, self._weights = meta["epoch"], meta["batch"], meta["weights"]
        self.best_epoch, self.best_value = meta["best_epoch"], meta["best_value"]


def _is_plain(fabric: Fabric) -> bool:
    """Say whether numbers are float32 throughout."""
    from lightning_fabric.plugins.precision.precision import Precision

    return type(fabric.strategy.precision) is Precision


def _weight(part: Batch) -> float:
    return float(len(part.target)) if part.weight is None else float(part.weight.sum())


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(prefix + "/")}


def _optimizer(task: Task, settings: Training, device: torch.device) -> torch.optim.Optimizer:
    groups = [dict(group) for group in task.groups] or [{"params": list(task.model.parameters())}]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, settings.lr, momentum=0.9, weight_decay=settings.weight_decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    fused = device.type in ("cpu", "cuda")  # one kernel for all parameters
    task.model.to(device)
    return kind(groups, settings.lr, weight_decay=settings.weight_decay, fused=fused)


def _average(model: nn.Module, settings: Training) -> torch.optim.swa_utils.AveragedModel | None:
    if not settings.average:
        return None
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.average))
