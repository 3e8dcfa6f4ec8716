"""The state of training in one process: the step, the evaluation of an epoch, checkpoints."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..errors import GraphError, Words, expected
from .batches import draw, for_evaluation
from .checks import check_data
from .metrics import measure, metric
from .randomness import derived_seed, random_states, seed_all, set_random_states
from .schedules import scheduler
from .settings import Training, may_change
from .task import Batch, Split, Task, class_loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["MAX_SEED", "Session"]

MAX_SEED = 2**31  # seeds are below it


class Session:
    """Model, optimizer, schedule, the average of the weights, the best weights so far, and the position in the epoch.

    Args:
        task: its model is moved to the device and trained in place.
        settings: how to train.
        fabric: launched; provides device, precision and processes.
        seed: of the order of examples, of dropout and of anything else that the model draws.
        workers: processes that prepare batches.
    """

    def __init__(self, task: Task, settings: Training, fabric: Fabric, seed: int, workers: int = 0) -> None:
        task.check()
        if not isinstance(settings, Training):
            raise expected("settings", "a graphseq.train.Training", settings)
        if not isinstance(seed, int) or not 0 <= seed < MAX_SEED:
            raise expected("seed", "an integer from 0 to 2**31 - 1", seed)
        self.task, self.settings, self.fabric, self.seed, self.workers = task, settings, fabric, seed, workers
        self._world, self.device = fabric.world_size, fabric.device
        rank = fabric.global_rank
        seed_all(derived_seed(seed, rank) if rank else seed)  # each process has its own dropout
        self.model = task.model.to(fabric.device)
        self._precision = fabric.strategy.precision
        self.steps_per_epoch = math.ceil(task.train.size / (settings.batch_size or task.train.size))
        self.optimizer = _optimizer(task, settings, fabric)
        self._scheduler = scheduler(settings, self.optimizer, self.steps_per_epoch)
        self._parallel: Any = fabric.strategy.setup_module(self.model)  # DistributedDataParallel, or the model itself
        self._parameters = list(self.model.parameters())
        self.average = _average(self.model, settings)
        self.evaluated: nn.Module = self.model if self.average is None else self.average.module
        self._batches = {id(split): for_evaluation(split, settings, fabric) for split in (task.val, task.test) if split}
        self.best = {name: value.clone() for name, value in self.evaluated.state_dict().items()}
        self._weights_now = _live_state(self.evaluated)
        self._before = self.best if self.selected_by else {name: value.clone() for name, value in self.best.items()}
        self.epoch = self.batch = 0  # epochs done, and steps done in the current one
        self.best_epoch, self.best_value = 0, math.nan
        self._losses = torch.zeros((), device=fabric.device)
        self._weights, self._rate = 0.0, settings.lr
        self._whole: list[Sequence[Batch]] = []  # the only batch, if it has all examples

    def check_data(self) -> None:
        """Check the data of all splits, without drawing random numbers.

        Raises:
            GraphError: see :func:`graphseq.train.checks.check_data`.
        """
        states = random_states()
        self.model.eval()
        with torch.no_grad(), self.fabric.autocast():
            made = self._batches if self._world == 1 else {}  # all processes must raise the same error
            check_data(self.task, self.settings, made, lambda batch: self._scores(self.model, batch.to(self.device))[0])
        set_random_states(states)

    # -- the step -----------------------------------------------------------------------------------------------

    @property
    def step_count(self) -> int:
        """Return the number of steps taken."""
        return self.epoch * self.steps_per_epoch + self.batch

    @property
    def is_over(self) -> bool:
        """Return whether all epochs are done, or none of the last ``patience`` was better."""
        waited = self.settings.patience and self.epoch - self.best_epoch >= self.settings.patience
        return self.epoch >= self.settings.epochs or bool(waited and not self.batch)

    def rest_of_epoch(self) -> Iterator[Sequence[Batch]]:
        """Yield the batches of the remaining steps of this epoch, each in its parts."""
        if self._whole:
            return iter(self._whole)
        drawn = draw(self.task.train, self.settings, self.fabric, self.seed, self.epoch, self.batch, self.workers)
        if not self.settings.batch_size:
            self._whole = list(drawn)
            return iter(self._whole)
        return drawn

    def step(self, parts: Sequence[Batch]) -> None:
        """Take one step: the gradient of the mean loss over all parts and processes, clipped, then the optimizer."""
        if not self.batch:
            self._parallel.train()
        total = sum(map(_weight, parts))
        if self._world > 1:
            total = float(self._reduce(torch.tensor(total, device=self.device), "sum"))
        for i, part in enumerate(parts, start=1):
            with contextlib.nullcontext() if self._world == 1 or i == len(parts) else self._parallel.no_sync():
                # DistributedDataParallel takes the mean over processes, so the sum of theirs is `world` times it.
                loss = self._loss(part, self._world / total if total else 0.0, 1 / len(parts))
                self._precision.backward(loss, self.model)
            self._losses.add_(loss.detach(), alpha=total)
        self._weights += total
        self._rate = self.optimizer.param_groups[0]["lr"]
        self._clip()
        self._precision.optimizer_step(self.optimizer)
        self.optimizer.zero_grad()
        if self._scheduler is not None:
            self._scheduler.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.batch += 1

    def _loss(self, part: Batch, scale: float, share: float) -> Tensor:
        with self.fabric.autocast():
            scores, extra = self._scores(self._parallel, part)
        whole = part.weight is None and scale * len(part.target) == 1
        if whole and self.task.loss is class_loss:
            loss = cross_entropy(scores, part.target)  # the mean at once: 20 µs less
        else:
            losses = self.task.loss(scores, part.target)
            if losses.shape != part.target.shape[:1]:
                raise expected("loss", f"one number for each of {len(part.target)} targets (reduction='none')", losses)
            weighted = losses if part.weight is None else losses * part.weight
            loss = losses.mean() if whole else weighted.sum() * scale
        return loss if extra is None else loss + extra * share

    def _scores(self, model: Any, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the model's rows for the targets, and its additional loss."""
        output = model(*batch.inputs)
        scores, extra = output if isinstance(output, tuple) else (output, None)
        rows = batch.rows(scores)
        if len(rows) != len(batch.target):
            raise expected("target", f"one for each of {len(rows)} rows of the model's scores", batch.target)
        return self._precision.convert_output(rows), extra

    def _clip(self) -> None:
        if self.settings.clip_value or self.settings.clip_norm:
            self._precision.unscale_gradients(self.optimizer)
        if self.settings.clip_value:
            nn.utils.clip_grad_value_(self._parameters, self.settings.clip_value)
        if self.settings.clip_norm:
            nn.utils.clip_grad_norm_(self._parameters, self.settings.clip_norm)

    # -- evaluation ---------------------------------------------------------------------------------------------

    def end_epoch(self) -> dict[str, float]:
        """Evaluate the validation split, keep the weights if they are the best so far, and return the epoch's record.

        Raises:
            GraphError: the loss is not finite.
        """
        losses = self._losses if self._world == 1 else self._reduce(self._losses, "mean")
        loss = float(losses) / self._weights if self._weights else math.nan
        if not math.isfinite(loss):
            what = f"the loss is {loss} in epoch {self.epoch + 1}"
            raise GraphError(f"{what}; try a lower learning rate (lr) or clip_norm")
        self._losses.zero_()
        self._weights = 0.0
        self._share_buffers()
        self.epoch, self.batch = self.epoch + 1, 0
        record = {"epoch": self.epoch, "step": self.step_count, "loss": loss}
        if self.task.val is not None:
            record |= {f"val_{name}": value for name, value in self.evaluate(self.task.val).items()}
        record["lr"] = self._rate
        self._keep_if_best(record)
        return record

    @torch.no_grad()
    def _share_buffers(self) -> None:
        """Give all processes the first one's buffers, which are saved: batch statistics are of each one's own share."""
        if self._world > 1 and (buffers := list(self.evaluated.buffers())):
            shared = self.fabric.broadcast([buffer.cpu() for buffer in buffers])
            for buffer, value in zip(buffers, shared, strict=True):
                buffer.copy_(value)

    @torch.no_grad()
    def outputs(self, split: Split) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the scores and targets of a whole split, and the targets' weights if any, of all processes."""
        self.evaluated.eval()
        batches = self._batches.get(id(split)) or for_evaluation(split, self.settings, self.fabric)
        weighted = self._world > 1 or any(batch.weight is not None for batch, _ in batches)
        found: list[list[Tensor]] = [[], [], []]
        for batch, counts in batches:
            with self.fabric.autocast():
                rows, _ = self._scores(self.evaluated, batch)
            parts = [rows.float(), batch.target]
            if weighted:
                parts.append(rows.new_ones(len(rows)).float() if batch.weight is None else batch.weight)
            for listed, part in zip(found, parts, strict=False):
                listed.append(part if counts else part[:0])
        scores, target, *weight = (
            torch.cat(self._gather(parts[0] if len(parts) == 1 else torch.cat(parts))) if self._world > 1
            else parts[0] if len(parts) == 1 else torch.cat(parts)
            for parts in found if parts
        )  # fmt: skip
        return scores, target, weight[0] if weight else None

    def evaluate(self, split: Split) -> dict[str, float]:
        """Return the mean loss and the metrics of a split; accuracy, F1 and AUROC in per cent."""
        return self.measured(*self.outputs(split))

    def measured(self, scores: Tensor, target: Tensor, weight: Tensor | None) -> dict[str, float]:
        """Return the mean loss, by the targets' weights if there are any, and the metrics of scores and targets."""
        losses = self.task.loss(scores, target)
        loss = losses.mean() if weight is None else (losses * weight).sum() / weight.sum()
        return {"loss": float(loss), **measure(self.task.metrics, scores, target)}

    @property
    def selected_by(self) -> str:
        """Return the name of the validation value that selects the best epoch; "" if that is the last."""
        name = "loss" if self.settings.select == "loss" else self.task.metrics[0]
        return "" if self.task.val is None or self.settings.select == "last" else f"val_{name}"

    @torch.no_grad()
    def _keep_if_best(self, record: Mapping[str, float]) -> None:
        """Copy the weights if the epoch is the best on validation data; else always."""
        if self.selected_by:
            name = self.selected_by.removeprefix("val_")
            value, best = record[self.selected_by], self.best_value
            upwards = name != "loss" and metric(name).larger_is_better
            if not math.isfinite(value) or math.isnan(record["val_loss"]):
                return
            if not math.isnan(best) and (value <= best if upwards else value >= best):
                return
            self.best_value = value
        self.best_epoch = self.epoch
        self.best, self._before = self._before, self.best
        torch._foreach_copy_(list(self.best.values()), self._weights_now())

    def use_best(self) -> None:
        """Load the weights of the best epoch into the model; before the end of the first epoch, the initial ones.

        Without a selection the best epoch is the last one, whose weights were not evaluated: if they are not
        finite, those of the previous epoch are loaded.

        Raises:
            GraphError: no epoch had a finite validation loss, or the last step's weights are not finite.
        """
        finite = all(bool(weights.isfinite().all()) for weights in self.best.values())
        self.model.load_state_dict(self.best if finite else self._before)
        self.evaluated = self.model
        if not finite or not self.best_epoch:
            what = "the validation loss is not finite in any epoch" if finite else "the weights are not finite"
            raise GraphError(f"{what}; try a lower learning rate (lr) or clip_norm")

    # -- checkpoints --------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything that determines how training continues; every process must call it."""
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average/{name}": value for name, value in self.average.state_dict().items()}
        optimizer = self.optimizer.state_dict()
        for i, values in optimizer["state"].items():
            tensors |= {f"optimizer/{i}/{name}": torch.as_tensor(value) for name, value in values.items()}
        for name, value in random_states().items():
            tensors |= {f"random/{rank}/{name}": state for rank, state in enumerate(self._gather(value))}
        tensors["losses"] = torch.stack(self._gather(self._losses))
        meta: dict[str, Any] = {"epoch": self.epoch, "batch": self.batch, "weights": self._weights}
        meta |= {"best_epoch": self.best_epoch, "best_value": self.best_value, "groups": optimizer["param_groups"]}
        meta |= {"scheduler": self._scheduler and self._scheduler.state_dict(), "scaler": self._precision.state_dict()}
        options = {name: getattr(self.settings, name) for name in Training.model_fields}
        return tensors, meta | self._setting() | {"options": options}

    def _setting(self) -> dict[str, Any]:
        """Return what must not change when training is resumed, apart from the options."""
        return {"seed": self.seed, "processes": self._world, "precision": str(self._precision.precision)}

    def _gather(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all processes; they may differ in length."""
        if self._world == 1:
            return [tensor]
        from torchmetrics.utilities.distributed import gather_all_tensors

        return gather_all_tensors(tensor.to(self.device))

    def _reduce(self, tensor: Tensor, how: str) -> Tensor:
        return cast(Tensor, self.fabric.all_reduce(tensor, reduce_op=how))

    def restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], best: Mapping[str, Tensor]) -> None:
        """Continue from what :meth:`state` returned, and the best weights.

        Raises:
            GraphError: it belongs to another model, seed or number of processes.
        """
        before, mine = dict(meta["options"]), self._setting()
        now = {name: getattr(self.settings, name) for name in before}
        for name, value in [*mine.items(), *now.items()]:
            began = meta[name] if name in mine else before[name]
            if began != value and (name in mine or not may_change(name, before, now)):
                raise expected(name, f"{began!r}, with which the run began", value)
        try:
            self.model.load_state_dict(_under("model", tensors))
            if self.average is not None:
                self.average.load_state_dict(_under("average", tensors))
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in _under("optimizer", tensors).items():
                index, _, name = key.partition("/")
                state.setdefault(int(index), {})[name] = value
            self.optimizer.load_state_dict({"state": state, "param_groups": meta["groups"]})
            for name, kept in self.best.items():
                kept.copy_(best[name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise expected("resume", "a checkpoint of this model", Words(f"another: {error}")) from None
        if self._scheduler is not None:
            self._scheduler.load_state_dict(meta["scheduler"])
        self._precision.load_state_dict(meta["scaler"])
        set_random_states(_under(f"random/{self.fabric.global_rank}", tensors))
        self._losses.copy_(tensors["losses"][self.fabric.global_rank])
        self._parallel.train()
        self.epoch, self.batch, self._weights = meta["epoch"], meta["batch"], meta["weights"]
        self.best_epoch, self.best_value = meta["best_epoch"], meta["best_value"]


def _live_state(model: nn.Module) -> Callable[[], list[Tensor]]:
    """Return a function that returns the values of the model's `state_dict`, without its cost of 10 µs a module.

    Tensors are read anew, since a model may put another one into a buffer's place. A model that has put another module
    into one's place, or whose `state_dict` is more than its tensors, is asked for it.
    """
    state = model.state_dict()
    places: dict[str, tuple[dict[str, Any], str]] = {}
    inner: list[tuple[dict[str, Any], str, nn.Module | None]] = []
    for prefix, module in model.named_modules(remove_duplicate=False):
        inner += [(module._modules, name, child) for name, child in module._modules.items()]
        for tensors in (module._parameters, module._buffers):
            places |= {f"{prefix}.{name}" if prefix else name: (tensors, name) for name in tensors}
    chosen = [places[name] for name in state if name in places]
    found = [tensors[name] for tensors, name in chosen]
    values = list(state.values())
    plain = len(found) == len(values) and all(t.data_ptr() == s.data_ptr() for t, s in zip(found, values, strict=True))

    def values_now() -> list[Tensor]:
        if not plain or any(modules.get(name) is not child for modules, name, child in inner):
            return list(model.state_dict().values())
        return [tensors[name] for tensors, name in chosen]

    return values_now


def _weight(part: Batch) -> float:
    return float(len(part.target)) if part.weight is None else float(part.weight.sum())


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(prefix + "/")}


def _optimizer(task: Task, settings: Training, fabric: Fabric) -> torch.optim.Optimizer:
    groups = [dict(group) for group in task.groups] or [{"params": list(task.model.parameters())}]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, settings.lr, momentum=0.9, weight_decay=settings.weight_decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    # One kernel for all parameters; Fabric cannot clip with loss scaling.
    fused = fabric.device.type in ("cpu", "cuda") and fabric.strategy.precision.precision != "16-mixed"
    return kind(groups, settings.lr, weight_decay=settings.weight_decay, fused=fused)


def _average(model: nn.Module, settings: Training) -> torch.optim.swa_utils.AveragedModel | None:
    if not settings.average:
        return None
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.average))
