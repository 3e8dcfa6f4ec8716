"""Options from text, metrics beside scikit-learn's."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from pydantic import Field
from sklearn import metrics as sk

from graphseq.errors import GraphError
from graphseq.train import METRICS, Machine, Training, measure


class Own(Training):
    epochs: int = 7
    size: int | None = Field(default=None, ge=2, description="of something")
    name: str = Field(default="", description="of something")
    flag: bool = Field(default=False, description="a flag")


class Deeper(Own):
    size: int | None = 3


class Other(Own):
    size: str = "wide"  # another type has no limits of numbers


def test_another_type_keeps_the_help() -> None:
    [option] = [option for option in Other().described() if option.name == "size"]
    assert (option.value, option.kind, option.help) == ("wide", "text", "of something")


def test_another_default_keeps_help_and_limits() -> None:
    options = {option.name: option for option in Deeper().described()}
    assert all(option.help for option in options.values())
    assert options["epochs"].value == 7 and options["epochs"].kind == "an integer of at least 1"
    assert options["size"].value == 3 and options["size"].kind == "an integer of at least 2 or none"
    assert options["select"].kind == "loss, metric or last" and options["flag"].kind == "true or false"
    assert options["warmup"].kind == "a number from 0 to 1"
    assert Own().size is None and Training().epochs == 100  # the base classes stay as they were
    for wrong in ({"epochs": 0}, {"size": 1}):
        with pytest.raises(GraphError):
            Deeper(**wrong)


@pytest.mark.parametrize(
    ("text", "value"),
    [({"epochs": "3"}, 3), ({"size": "4"}, 4), ({"lr": "1e-3"}, 1e-3), ({"name": "x"}, "x"), ({"name": "3"}, "3"),
     ({"optimizer": "sgd"}, "sgd"), ({"flag": "Yes"}, True), ({"flag": "off"}, False)],
)  # fmt: skip
def test_texts(text, value) -> None:
    [name] = text
    assert getattr(Own().parse(text), name) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"epoch": "3"}, "`epoch`: expected the name of an option, got 'epoch'; did you mean 'epochs'?"),
        ({"zzz": "3"}, "there are epochs"),
        ({"epochs": "3.5"}, "`epochs`: expected an integer of at least 1, got '3.5'"),
        ({"epochs": "0"}, "`epochs`: expected an integer of at least 1, got '0'"),
        ({"lr": "nan"}, "`lr`: expected a number of at least 0, got 'nan'"),
        ({"optimizer": "adamm"}, "`optimizer`: expected adam, adamw or sgd, got 'adamm'"),
        ({"size": "1"}, "`size`: expected an integer of at least 2 or none, got '1'"),
        ({"flag": "maybe"}, "`flag`: expected true or false, got 'maybe'"),
    ],
)
def test_wrong_texts(text, message) -> None:
    with pytest.raises(GraphError) as caught:
        Own().parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", ["3", True, 3.0, 3.5, None])
def test_numbers_are_numbers(value) -> None:
    for make in (Own, Own().replace):
        with pytest.raises(GraphError, match=f"`epochs`: expected an integer of at least 1, got {value!r}"):
            make(epochs=value)
    assert Own(lr=1).lr == 1.0
    with pytest.raises(GraphError, match="`lr`: expected a number"):
        Own(lr=float("inf"))


def test_options_cannot_be_changed_and_are_compared_by_value() -> None:
    settings = Own(epochs=3)
    with pytest.raises(ValueError, match="frozen"):
        settings.epochs = 4
    assert settings.replace(epochs=4) == Own(epochs=4) != settings
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_metrics_are_scikit_learn_s() -> None:
    scores, target = torch.randn(50, 4), torch.randint(4, (50,))
    found = measure(["accuracy", "f1", "auroc"], scores, target)
    guess = scores.argmax(1)
    assert found["accuracy"] == pytest.approx(100 * sk.accuracy_score(target, guess))
    assert found["f1"] == pytest.approx(100 * sk.f1_score(target, guess, average="macro"))
    chance = scores.double().softmax(1)
    assert found["auroc"] == pytest.approx(100 * sk.roc_auc_score(target, chance, multi_class="ovr"), abs=1e-3)
    found = measure(["rmse", "mae"], scores[:, :1], target)
    assert found["rmse"] == pytest.approx(math.sqrt(sk.mean_squared_error(target, scores[:, 0])))
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(target, scores[:, 0]))
    assert set(METRICS) == {"accuracy", "f1", "auroc", "bracket_f1", "subtoken_f1", "rmse", "mae"}
    rows = torch.tensor([[0.5, 3, 4, 5], [2.0, 1, 1, 2]])  # loss, right, found, true
    assert measure(["bracket_f1"], rows, target[:2])["bracket_f1"] == pytest.approx(100 * 2 * 4 / 12)
    assert math.isnan(measure(["accuracy"], scores[:0], target[:0])["accuracy"])


@pytest.mark.filterwarnings("error")
def test_auroc_is_of_probabilities_and_of_the_classes_that_are_there() -> None:
    draw = torch.Generator().manual_seed(0)
    scores, target = torch.rand(60, 3, generator=draw), torch.randint(3, (60,), generator=draw)

    def area(scores, target):
        return measure(["auroc"], scores, target)["auroc"]

    for shift in (0.0, -5.0):  # no softmax changes by it
        expected = sk.roc_auc_score(target, scores.double().softmax(1), multi_class="ovr")
        assert area(scores + shift, target) == pytest.approx(100 * expected, abs=1e-3)
    some = target < 2
    chances = scores[some].double().softmax(1)
    areas = [sk.roc_auc_score(target[some] == c, chances[:, c]) for c in (0, 1)]
    assert area(scores[some], target[some]) == pytest.approx(50 * sum(areas), abs=1e-3)
    sure = 30 * torch.eye(2)[torch.tensor([0, 1, 1, 1])] * torch.tensor([[1.0], [1.0], [2.0], [3.0]])
    assert area(sure[[2, 1, 3]], torch.tensor([1, 0, 1])) == 100  # no ties where float32 has 1.0 for all
    assert math.isnan(area(scores, torch.zeros_like(target)))


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cpu:1", ""])
def test_devices(device: str) -> None:
    with pytest.raises(GraphError, match="`device`: expected"):
        Machine(device=device)


def test_no_cuda() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is CUDA")
    with pytest.raises(GraphError, match="this PyTorch sees no CUDA device"):
        Machine(device="cuda")
    with pytest.raises(GraphError, match="`processes`: expected an integer of at least 1, got 0"):
        Machine(processes=0)
