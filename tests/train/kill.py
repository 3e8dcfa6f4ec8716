"""Train, be stopped in every way at random moments, resume, and compare with a run that was never stopped.

A script, because each run is a fork of one process that has everything imported and has started no thread.
Prints one JSON object: what was compared and what differed.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import lightning_fabric  # noqa: F401 - imported once, for all forks
import torch
import torchmetrics.functional.classification  # noqa: F401

from graphseq.errors import GraphError
from graphseq.train import RunFolder, Stopped, Training, fit
from tests.train import jobs

torch.set_num_threads(1)
SETTINGS = Training(
    epochs=8, batch_size=8, lr=0.02, optimizer="adamw", schedule="cosine", average=0.9, clip_norm=1.0, accumulate=2
)
FILES = ("metrics.jsonl", "best.safetensors", "last.safetensors", "outcome.json")
OK, STOPPED, FULL = 0, 3, 4


def train(folder: Path, *, save_every: float, limit: int | None = None, pause: float = 0.0) -> int:
    """Train in this process and return how it ended."""
    if limit is not None:  # a file can grow no longer, as on a full disk
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    job = jobs.task(train=88)
    if pause:
        job.model.register_forward_hook(lambda *_: time.sleep(pause))
    try:
        outcome = fit(job, SETTINGS, seed=5, folder=RunFolder(folder), resume=True, save_every=save_every)
    except Stopped:
        return STOPPED
    except GraphError as error:
        (folder.parent / f"{folder.name}.error").write_text(str(error))
        return FULL
    result = {"best": outcome.best_epoch, "epochs": outcome.epochs, "val": outcome.val, "test": outcome.test}
    (folder / "outcome.json").write_text(json.dumps(result | {"records": outcome.records}))
    return OK


def fork(folder: Path, *, after: float | None = None, number: int = signal.SIGKILL, **options) -> int:
    """Train in a child, send it a signal after a while, and return how it ended."""
    child = os.fork()
    if not child:
        code = 99
        try:
            code = train(folder, **options)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if after is not None:
        time.sleep(after)
        os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(top: Path, trials: int) -> dict:
    """Return how each trial ended and which files differed."""
    fit(jobs.task(train=88), SETTINGS, folder=RunFolder(top / "warm"))  # imports what is imported late
    draw = random.Random(0)
    reference = top / "reference"
    start = time.monotonic()
    assert fork(reference, save_every=1e9, pause=0.002) == OK
    length = time.monotonic() - start
    ended, differed = [], []
    for trial in range(trials):
        folder = top / f"kill-{trial}"
        code, times = None, 0
        while code != OK and times < 3:  # killed up to three times, and resumed
            every = draw.choice([0.0, 0.0, 0.02, 1e9])
            code = fork(folder, after=draw.uniform(0, 1.2 * length), save_every=every, pause=0.002)
            times += 1
            ended.append(code)
        assert fork(folder, save_every=0.05) == OK
        differed += compare(reference, folder)
    for number in (signal.SIGINT, signal.SIGTERM):
        folder = top / f"signal-{number}"
        ended.append(fork(folder, after=length / 2, number=number, save_every=1e9, pause=0.002))
        assert (folder / "last.safetensors").is_file()
        assert fork(folder, save_every=1e9) == OK
        differed += compare(reference, folder)
    sizes = [(reference / name).stat().st_size for name in ("metrics.jsonl", "best.safetensors", "last.safetensors")]
    for number, limit in enumerate((sizes[0] // 2, sizes[1] // 2, sizes[1] + 8, sizes[2] - 8)):
        folder = top / f"full-{number}"
        ended.append(fork(folder, save_every=0, limit=limit))
        left = sorted(path.name for path in folder.iterdir() if path.name.startswith(".") and path.name != ".lock")
        differed += [f"{folder.name}: left {name}" for name in left]
        assert fork(folder, save_every=0) == OK
        differed += compare(reference, folder)
    errors = [path.read_text().replace(str(top), "TOP") for path in sorted(top.glob("*.error"))]
    return {"ended": ended, "differed": differed, "errors": errors}


def compare(reference: Path, folder: Path) -> list[str]:
    """Return the files that differ in a byte."""
    return [f"{folder.name}/{n}" for n in FILES if (reference / n).read_bytes() != (folder / n).read_bytes()]


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
