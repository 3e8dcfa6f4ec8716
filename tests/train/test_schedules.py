"""Learning rates step by step beside their formulas, OneCycleLR beside a loop by hand, and all of them resumed."""

from __future__ import annotations

import math
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from graphseq.errors import GraphError
from graphseq.train import Machine, RunFolder, Session, Stopped, Training, fit, launch
from graphseq.train.randomness import derived_seed
from tests.train import jobs


def rates(settings: Training, task=None) -> list[float]:
    """Return the learning rate of each step as a fraction of the highest."""
    session = launch(Machine(device="cpu"), lambda fabric: Session(task or jobs.task(), settings, fabric, 0))
    found = []
    while not session.is_over:
        for parts in session.rest_of_epoch():
            found.append(session.optimizer.param_groups[0]["lr"] / settings.lr)
            session.step(parts)
        assert session.end_epoch()["lr"] == pytest.approx(found[-1] * settings.lr)
    return found


FORMULAS = {
    "constant": lambda t, epoch: 1.0,
    "cosine": lambda t, epoch: (1 + math.cos(math.pi * t)) / 2,
    "linear": lambda t, epoch: 1 - t,
    "step": lambda t, epoch: 0.5 ** (epoch // 4),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("warmup", [0.0, 0.3])
def test_formulas(name: str, warmup: float) -> None:
    settings = Training(epochs=10, batch_size=30, schedule=name, step_epochs=4, warmup=warmup)
    rise = [min(1.0, (i + 1) / 9) if warmup else 1.0 for i in range(30)]
    expected = [FORMULAS[name](i / 30, i // 3) * rise[i] for i in range(30)]
    np.testing.assert_allclose(rates(settings), expected, atol=1e-9)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_onecycle_equals_a_loop_by_hand_to_the_bit(optimizer: str) -> None:
    settings = Training(epochs=4, batch_size=20, schedule="onecycle", clip_norm=1.0, optimizer=optimizer)
    task, twin = jobs.task(dropout=0.0, norm=False), jobs.task(dropout=0.0, norm=False)
    session = launch(Machine(device="cpu"), lambda fabric: Session(task, settings, fabric, 3))
    model = twin.model
    if optimizer == "adam":
        by_hand = torch.optim.Adam(model.parameters(), fused=True)
    else:
        by_hand = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(by_hand, 0.01, 4 * 5)
    momenta = []
    for epoch in range(4):
        order = torch.randperm(90, generator=torch.Generator().manual_seed(derived_seed(3, epoch)))
        for chosen, parts in zip(order.split(20), session.rest_of_epoch(), strict=True):
            batch = twin.train.collate(chosen)
            cross_entropy(model(*batch.inputs), batch.target).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            by_hand.step()
            by_hand.zero_grad()
            schedule.step()
            session.step(parts)
            group = session.optimizer.param_groups[0]
            momenta.append(group["betas"][0] if optimizer == "adam" else group["momentum"])
        session.end_epoch()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), task.model.parameters(), strict=True))
    assert min(momenta) == pytest.approx(0.85, abs=0.01) and max(momenta) == pytest.approx(0.95, abs=0.01)


def test_a_warm_up_before_a_warm_up() -> None:
    with pytest.raises(GraphError, match="`warmup`: expected 0 with schedule=onecycle, which has its own warm-up, got"):
        fit(jobs.task(), Training(schedule="onecycle", warmup=0.1))


@pytest.mark.parametrize("epochs", [1, 2])
def test_onecycle_of_a_step_or_two(epochs: int) -> None:
    assert all(0 < rate <= 1 for rate in rates(Training(epochs=epochs, schedule="onecycle")))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize(
    "options",
    [{"schedule": "onecycle"}, {"schedule": "cosine", "warmup": 0.3}, {"schedule": "onecycle", "optimizer": "sgd"}],
)
def test_resumed_in_the_middle_to_the_bit(tmp_path: Path, options: dict, precision: str) -> None:
    settings = Training(epochs=4, batch_size=20, clip_norm=1.0, **options)

    def run(task, path: Path):
        def inside(fabric):
            return fit(task, settings, fabric=fabric, folder=RunFolder(path), resume=True, save_every=1e9)

        return launch(Machine(device="cpu", precision=precision), inside)

    whole, halves = jobs.task(), jobs.task()
    run(whole, tmp_path / "whole")
    steps = []

    def stop(*_: object) -> None:
        steps.append(1)
        if len(steps) == 3 + 2 * 6 + 2:  # three checks, two epochs of five steps and an evaluation, two steps
            signal.raise_signal(signal.SIGINT)

    handle = halves.model.register_forward_hook(stop)
    with pytest.raises(Stopped, match="stopped in epoch 3"):
        run(halves, tmp_path / "halves")
    handle.remove()
    again = jobs.task()
    run(again, tmp_path / "halves")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    for name in ("metrics.jsonl", "best.safetensors", "last.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "halves" / name).read_bytes()
