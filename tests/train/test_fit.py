"""The loop beside one written out by hand, and what it promises."""

from __future__ import annotations

import copy
import gc
import math

import psutil
import pytest
import torch
from torch.nn.functional import cross_entropy

from graphseq.errors import GraphError
from graphseq.train import Batch, Machine, RunFolder, Session, Split, Task, Training, fit, launch
from graphseq.train.randomness import derived_seed
from tests.train import jobs


def by_hand(settings: Training, seed: int, clip=None) -> dict[str, torch.Tensor]:
    """Train the small task with PyTorch alone."""
    task = jobs.task(dropout=0.0, norm=False)
    model = task.model
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    optimizer = kind(model.parameters(), settings.lr, weight_decay=settings.weight_decay)
    for epoch in range(settings.epochs):
        order = torch.randperm(task.train.size, generator=torch.Generator().manual_seed(derived_seed(seed, epoch)))
        for chosen in order.split(settings.batch_size or len(order)):
            batch = task.train.collate(chosen)
            cross_entropy(model(*batch.inputs), batch.target).backward()
            if clip is not None:
                clip(model.parameters())
            optimizer.step()
            optimizer.zero_grad()
    return model.state_dict()


def trained(settings: Training, seed: int) -> dict[str, torch.Tensor]:
    task = jobs.task(dropout=0.0, norm=False)
    fit(Task(task.model, task.train), settings, seed=seed)  # no validation: the last epoch counts
    return task.model.state_dict()


def close(a, b) -> None:
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", [0, 7, 45])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_equals_a_loop_by_hand(batch_size: int, optimizer: str) -> None:
    settings = Training(epochs=3, batch_size=batch_size, optimizer=optimizer, weight_decay=0.01)
    close(trained(settings, 3), by_hand(settings, 3))


@pytest.mark.parametrize("accumulate", [2, 3, 100])
def test_parts_of_a_batch_add_up(accumulate: int) -> None:
    settings = Training(epochs=3, batch_size=20)
    close(trained(Training(epochs=3, batch_size=20, accumulate=accumulate), 1), by_hand(settings, 1))


def test_clipping() -> None:
    settings = Training(epochs=3, batch_size=20, clip_norm=0.05, optimizer="sgd")
    plain = trained(Training(epochs=3, batch_size=20, optimizer="sgd"), 0)
    task = jobs.task(dropout=0.0, norm=False)
    session = _session(task, settings)
    for parts in session.rest_of_epoch():
        before = [p.detach().clone() for p in task.model.parameters()]
        session.step(parts)
        if session.batch == 1:
            after = [p.detach() for p in task.model.parameters()]
            moved = torch.cat([(a - b).flatten() for a, b in zip(after, before, strict=True)])
            assert math.isclose(float(moved.norm()), 0.05 * settings.lr, rel_tol=1e-3)
    session = _session(jobs.task(dropout=0.0, norm=False), Training(batch_size=20, clip_value=0.001, optimizer="sgd"))
    before = [p.detach().clone() for p in session.model.parameters()]
    session.step(next(session.rest_of_epoch()))
    moved = max(float((p - b).detach().abs().max()) for p, b in zip(session.model.parameters(), before, strict=True))
    assert math.isclose(moved, 0.001 * 0.01, rel_tol=1e-2)
    assert any(not torch.equal(plain[name], value) for name, value in trained(settings, 0).items())


def _session(task: Task, settings: Training, seed: int = 0) -> Session:
    return launch(Machine(device="cpu"), lambda fabric: Session(task, settings, fabric, seed))


def test_the_best_epoch_is_kept_and_the_test_split_evaluated_once() -> None:
    task = jobs.task()
    seen = []
    collate = task.test.collate
    task.test = Split(task.test.size, lambda i: (seen.append(len(i)), collate(i))[1])
    outcome = fit(task, Training(epochs=25, lr=0.1, select="metric"), seed=0)
    values = [record["val_accuracy"] for record in outcome.records]
    assert outcome.best_epoch == 1 + values.index(max(values)) and outcome.val["accuracy"] == max(values)
    assert seen == [17]
    task.model.eval()
    batch = collate(torch.arange(17))
    right = (task.model(*batch.inputs).argmax(1) == batch.target).float().mean()
    assert math.isclose(outcome.test["accuracy"], 100 * float(right), rel_tol=1e-6)


def test_patience() -> None:
    outcome = fit(jobs.task(), Training(epochs=200, lr=0.3, patience=5))
    assert outcome.epochs == outcome.best_epoch + 5 < 200
    losses = [record["val_loss"] for record in outcome.records]
    assert min(losses) == losses[outcome.best_epoch - 1]


def test_average_is_pytorch_s() -> None:
    settings = Training(epochs=2, batch_size=30, average=0.9)
    task = jobs.task(dropout=0.0, norm=False)
    fit(task, settings, seed=2)
    model = jobs.task(dropout=0.0, norm=False)
    optimizer = torch.optim.Adam(model.model.parameters(), settings.lr)
    average: dict[str, torch.Tensor] = {}
    for epoch in range(2):
        order = torch.randperm(90, generator=torch.Generator().manual_seed(derived_seed(2, epoch)))
        for chosen in order.split(30):
            batch = model.train.collate(chosen)
            cross_entropy(model.model(*batch.inputs), batch.target).backward()
            optimizer.step()
            optimizer.zero_grad()
            now = {name: value.clone() for name, value in model.model.state_dict().items()}
            average = {n: 0.9 * average[n] + 0.1 * v for n, v in now.items()} if average else now
    close(task.model.state_dict(), average)


def test_weights_rows_and_extra_losses() -> None:
    x, y = torch.randn(5, 4), torch.tensor([0, 1, 1])
    rows, weight = torch.tensor([4, 0, 2]), torch.tensor([1.0, 0.0, 3.0])

    class Pair(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x), self.weight.square().sum()

    seed = 0
    torch.manual_seed(seed)
    model, twin = Pair(4, 2), Pair(4, 2)
    twin.load_state_dict(model.state_dict())
    split = Split(1, lambda i: Batch((x,), y, rows, weight))
    fit(Task(model, split), Training(epochs=1, optimizer="sgd", lr=0.5), seed=seed)
    scores, extra = twin(x)
    loss = (cross_entropy(scores[rows], y, reduction="none") * weight).sum() / 4 + extra
    loss.backward()
    with torch.no_grad():
        torch.testing.assert_close(model.weight, twin.weight - 0.5 * twin.weight.grad)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int) -> None:
    one, other = jobs.task(), jobs.task()
    settings = Training(epochs=2, batch_size=16)
    assert fit(one, settings, seed=1).records == fit(other, settings, seed=1, workers=workers).records
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])


def test_one_seed_one_result_and_another_another() -> None:
    settings = Training(epochs=2, batch_size=16)
    runs = [fit(jobs.task(), settings, seed=seed).records for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_every_seed_and_every_epoch_has_an_order_of_its_own() -> None:
    def orders(seed: int) -> list[list[int]]:
        seen: list[list[int]] = []
        x = torch.randn(12, 3)
        split = Split(12, lambda i: (seen.append(i.tolist()), Batch((x[i],), i % 2))[1])
        session = _session(Task(torch.nn.Linear(3, 2), split), Training(batch_size=6), seed)
        for session.epoch in range(3):
            list(session.rest_of_epoch())
        return [first + second for first, second in zip(seen[::2], seen[1::2], strict=True)]

    found = [orders(seed) for seed in (0, 1, 2)]
    assert all(sorted(order) == list(range(12)) for each in found for order in each)
    assert len({tuple(order) for each in found for order in each}) == 9
    assert orders(1) == found[1]
    # PyTorch's generator on the CPU reads 32 bits of a seed: processes must not share their dropout either
    assert len({derived_seed(5, rank) % 2**32 for rank in range(1, 100)} | {5}) == 100


def test_a_split_s_weights_count_in_its_loss_when_it_is_evaluated_too() -> None:
    x, y, weight = torch.randn(6, 4), torch.tensor([0, 1, 1, 0, 1, 0]), torch.tensor([1.0, 0, 3, 2, 0, 5])
    split = Split(6, lambda i: Batch((x[i],), y[i], weight=weight[i]))
    task = Task(torch.nn.Linear(4, 2), split, split)
    outcome = fit(task, Training(epochs=2, batch_size=4, eval_batch_size=4))
    losses = cross_entropy(task.model(x), y, reduction="none").detach()
    assert math.isclose(outcome.val["loss"], float((losses * weight).sum() / weight.sum()), rel_tol=1e-5)
    assert math.isclose(outcome.val["accuracy"], 100 * float((task.model(x).argmax(1) == y).float().mean()))


def test_buffers_that_the_model_replaces_are_those_of_the_best_epoch() -> None:
    class Counting(torch.nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 2)
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x):
            if self.training:
                self.seen = self.seen + 1
            return super().forward(x)

    x, y = torch.randn(6, 4), torch.tensor([0, 1] * 3)
    split = Split(6, lambda i: Batch((x[i],), y[i]))
    for val in (None, split):
        model = Counting()
        outcome = fit(Task(model, split, val), Training(epochs=4, lr=0.1))
        assert float(model.seen) == outcome.best_epoch > 0


def test_the_best_weights_are_those_of_the_state_dict() -> None:
    class Swapping(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Sequential(torch.nn.Linear(4, 2))

        def forward(self, x):
            if self.training:  # another module in the place of one
                self.inner[0] = copy.deepcopy(self.inner[0])
                torch.nn.init.constant_(self.inner[0].bias, float(self.inner[0].bias[0]) + 1)
            return self.inner(x)

    class Own(torch.nn.Linear):
        """Stores its weights multiplied by 2."""

        def _save_to_state_dict(self, destination, prefix, keep_vars):
            destination[prefix + "doubled"] = 2 * self.weight.detach()

        def _load_from_state_dict(self, state_dict, prefix, *rest):
            self.weight.data = state_dict[prefix + "doubled"] / 2

    x, y = torch.randn(6, 4), torch.tensor([0, 1] * 3)
    split = Split(6, lambda i: Batch((x[i],), y[i]))
    model = Swapping()
    model.inner[0].bias.data.zero_()
    fit(Task(model, split), Training(epochs=3, lr=0.0))
    assert model.inner[0].bias.tolist() == [3.0, 3.0]
    model = Own(4, 2, bias=False)
    outcome = fit(Task(model, split, split), Training(epochs=3, lr=0.1))
    assert math.isclose(float(cross_entropy(model(x), y)), outcome.val["loss"], rel_tol=1e-5)
    assert outcome.val["loss"] == min(record["val_loss"] for record in outcome.records)


def test_memory_is_flat_over_2000_epochs(tmp_path) -> None:
    process = psutil.Process()
    used = {}

    class Watched(jobs.Noisy):
        epochs = 0

        def train(self, mode=True):
            Watched.epochs += mode
            if Watched.epochs in (500, 2000) and mode:
                gc.collect()
                used[Watched.epochs] = process.memory_info().rss
            return super().train(mode)

    task = jobs.task()
    task.model = Watched(6, 3)
    outcome = fit(task, Training(epochs=2000), folder=RunFolder(tmp_path), save_every=0.5)
    assert outcome.epochs == 2000
    assert used[2000] - used[500] < 8 * 2**20, {n: f"{v / 2**20:.0f} MiB" for n, v in used.items()}


@pytest.mark.cuda
def test_cuda_gives_the_same_bits_twice_and_the_cpu_s_numbers() -> None:
    settings, runs = Training(epochs=3, batch_size=16), []
    for device in ("cuda", "cuda", "cpu"):
        task = jobs.task(dropout=0.0, norm=False)
        launch(Machine(device=device), lambda fabric, task=task: fit(task, settings, fabric=fabric))
        runs.append({name: value.cpu() for name, value in task.model.state_dict().items()})
    assert all(torch.equal(value, runs[1][name]) for name, value in runs[0].items())
    close(runs[0], runs[2])


def test_a_loss_that_is_lost() -> None:
    with pytest.raises(GraphError, match=r"the loss is (nan|inf) in epoch \d+; try a lower learning rate"):
        fit(jobs.task(norm=False), Training(epochs=50, lr=1e30, optimizer="sgd"))


X, Y = torch.eye(4), torch.tensor([0, 1, 0, 1])
GOOD = Split(4, lambda i: Batch((X[i],), Y[i]))


def _mean(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return cross_entropy(scores, target)


def _linear() -> torch.nn.Module:
    return torch.nn.Linear(4, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: jobs.task(val=0), "`val`: expected a split with at least one example"),
        (lambda: Task(_linear(), GOOD, metrics=["precision"]), "`metrics`: expected names from accuracy"),
        (lambda: Task(_linear(), GOOD, metrics=[]), "`metrics`: expected a list of at least one name"),
        (lambda: Task(_linear(), GOOD, metrics="accuracy"), "`metrics`: expected a list of at least one name"),
        (lambda: Task(_linear(), [1, 2]), "`train`: expected a Split, got list"),
        (lambda: Task(_linear, GOOD), "`model`: expected a torch.nn.Module"),
        (lambda: Task(torch.nn.ReLU(), GOOD), "`model`: expected one with parameters to train"),
        (lambda: Task(_linear(), Split(4, lambda i: Batch(X[i], Y[i]))), "`inputs`: expected a tuple of the model's"),
        (lambda: Task(_linear(), Split(4, lambda i: X[i])), "`collate`: expected a function that returns a Batch"),
        (lambda: Task(_linear(), GOOD, loss=_mean), r"`loss`: expected one number for each of 4 targets"),
        (lambda: Task(_linear(), GOOD, GOOD, metrics=["rmse"]), "`metrics`: expected as many scores as targets"),
        (lambda: Split(-1, print), "`size`: expected a number of examples, got -1"),
        (lambda: Split(2.5, print), "`size`: expected a number of examples, got 2.5"),
        (lambda: Split(2, None), "`collate`: expected a function"),
    ],
)
def test_what_cannot_be_trained(make, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        fit(make(), Training(epochs=2))


@pytest.mark.parametrize(
    "wrong",
    [{"optimizer": "rmsprop"}, {"schedule": "cos"}, {"select": "x"}, {"epochs": 0}, {"epochs": 2.0}, {"epochs": "3"},
     {"batch_size": -1}, {"lr": math.nan}, {"lr": -1}, {"average": 2}, {"lr": "0.1"}],
)  # fmt: skip
def test_wrong_settings(wrong: dict) -> None:
    with pytest.raises(GraphError, match=f"`{next(iter(wrong))}`: expected"):
        Training(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"seed": "x"}, "`seed`: expected"), ({"seed": 2**31}, "`seed`: expected"),
     ({"settings": {"epochs": 3}}, "`settings`: expected a graphseq.train.Training")],
)  # fmt: skip
def test_wrong_arguments(wrong: dict, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        fit(jobs.task(), **({"settings": Training(epochs=1)} | wrong))


def test_a_path_is_a_folder(tmp_path) -> None:
    fit(jobs.task(), Training(epochs=1), folder=str(tmp_path / "run"))
    assert (tmp_path / "run/best.safetensors").is_file()


def test_tensorboard(tmp_path) -> None:
    pytest.importorskip("tensorboard")
    fit(jobs.task(), Training(epochs=3), folder=RunFolder(tmp_path), tensorboard=True)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("val_accuracy")] == [1, 2, 3]
