"""Train with two processes and print, as JSON, what can be compared with one; spawned processes want a script."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from graphseq.errors import GraphError
from graphseq.train import Machine, RunFolder, Session, Training, fit, launch
from tests.train import jobs

SETTINGS = Training(epochs=3, batch_size=13, weight_decay=0.01)  # 90 = 6 * 13 + 12: no batch is even in both halves
UNEVEN = Training(epochs=2, batch_size=1, accumulate=2)  # one process has no example, in any step


def train(fabric, folder: str | None, settings: Training, workers: int = 0) -> dict:
    """Train the small task; dropout off, since each process has its own."""
    task = jobs.task(dropout=0.0, norm=False)
    place = RunFolder(folder) if folder else None
    outcome = fit(task, settings, seed=4, fabric=fabric, folder=place, workers=workers)
    weights = torch.cat([value.flatten() for value in task.model.state_dict().values()])
    return {"weights": weights.tolist(), "records": outcome.records, "test": outcome.test}


def gradient(fabric) -> list[float]:
    """Return the gradient of one step: plain SGD moves the weights by it."""
    task = jobs.task(dropout=0.0, norm=False)
    session = Session(task, Training(batch_size=13, optimizer="sgd", lr=1.0), fabric, 0)
    before = torch.cat([p.detach().flatten().clone() for p in task.model.parameters()])
    session.step(next(session.rest_of_epoch()))
    return (before - torch.cat([p.detach().flatten() for p in task.model.parameters()])).tolist()


def gathered(fabric) -> dict:
    """Judge splits of which the processes have uneven shares, or one of them none."""
    found = {}
    for size in (1, 2, 7):
        session = Session(jobs.task(val=size, norm=False), Training(batch_size=4, eval_batch_size=2), fabric, 0)
        scores, target, _ = session.outputs(session.task.val)
        found[str(size)] = [len(scores), sorted(target.tolist()), session.evaluate(session.task.val)]
    return found


def statistics(fabric, average: float) -> list[float]:
    """Return a validation loss as it is reported, and that of the model which is left; it has batch statistics."""
    task = jobs.task(dropout=0.0)
    outcome = fit(task, Training(epochs=3, batch_size=13, average=average), seed=4, fabric=fabric)
    batch = task.val.batch(torch.arange(task.val.size))
    return [outcome.val["loss"], float(cross_entropy(task.model.eval()(*batch.inputs), batch.target))]


def wrong(fabric) -> None:
    """Raise what a user would see."""
    raise GraphError("`dataset`: expected another")


def everything(fabric, folder: str) -> dict:
    """Run all of it in one go, since processes take seconds to start."""
    return {
        "train": train(fabric, folder, SETTINGS),
        "gradient": gradient(fabric),
        "gathered": gathered(fabric),
        "statistics": [statistics(fabric, average) for average in (0.0, 0.5)],
        "uneven": train(fabric, None, UNEVEN),
        "again": train(fabric, None, SETTINGS),
        "workers": train(fabric, None, SETTINGS, workers=1),
    }


def main(folder: Path) -> dict:
    """Run it with one process and with two."""
    found = {p: launch(Machine(device="cpu", processes=p), everything, str(folder / f"run-{p}")) for p in (1, 2)}
    try:
        launch(Machine(processes=2), wrong)
    except GraphError as error:
        return {**found, "error": str(error)}
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
