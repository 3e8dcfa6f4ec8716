"""Training curves: what lands in which panel, the best epoch, gaps, means, axes, and files."""

import json
import math
from types import SimpleNamespace

import pytest

from graphseq import GraphError, plot
from graphseq.plot._figure import INK
from tests.plot.looks import outside, overlaps


def panels(figure):
    """The curves of every panel, by the panel's name: lists of points."""
    return {
        axes.get_ylabel(): [
            list(zip(*line.get_data(), strict=True)) for line in axes.get_lines() if line.get_color() != INK
        ]
        for axes in figure.axes
    }


def best(figure):
    """Where a panel's best epochs are marked: by lines, and by stars."""
    found = {}
    for axes in figure.axes:
        marks = [line for line in axes.get_lines() if line.get_color() == INK]
        stars = [tuple(float(v[0]) for v in line.get_data()) for line in marks if line.get_marker() == "*"]
        found[axes.get_ylabel()] = [line.get_xdata()[0] for line in marks if line.get_marker() != "*"], stars
    return found


def run(length, shift=0.0):
    return [{"epoch": e, "step": 9 * e, "loss": 1 / e + shift, "val_loss": 2 / e + shift} for e in range(1, length + 1)]


def outcome(records, best_epoch):
    return SimpleNamespace(records=records, best_epoch=best_epoch)


def test_each_loss_and_metric_has_a_panel():
    records = [
        {"epoch": e, "seconds": 0.1, "loss": 1.0, "val_loss": 2.0, "val_accuracy": 0.1 * e, "lr": 0.1 / e, "run": "a"}
        for e in (1, 2, 3)
    ]
    found = panels(plot.curves(records, title="$"))
    assert list(found) == ["training loss", "validation loss", "validation accuracy", "learning rate"]
    assert found["validation loss"] == [[(1, 2), (2, 2), (3, 2)]]


def test_a_metric_of_several_splits_has_one_panel_and_a_legend():
    figure = plot.curves([{"train_f1": 0.1, "dev_f1": 0.2, "test_f1": 0.3}] * 2)
    assert len(panels(figure)["f1"]) == 3
    assert len({line.get_color() for line in figure.axes[0].get_lines()}) == 3
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["training", "validation", "test"]


def test_a_constant_learning_rate_is_not_drawn():
    figure = plot.curves([{"loss": 1.0, "lr": 0.1}, {"loss": 0.5, "lr": 0.1}])
    assert [axes.get_ylabel() for axes in figure.axes] == ["training loss"]


def test_the_best_epoch_is_marked_in_every_panel():
    figure = plot.curves(outcome(run(9), 7))
    assert best(figure) == {"training loss": ([7], []), "validation loss": ([7], [(7, 2 / 7)])}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["best epoch: 7"]
    assert not any(lines or stars for lines, stars in best(plot.curves(run(9))).values())
    records = [{"epoch": e, "loss": 1 / e, "val_loss": 1 / e, "val_accuracy": 10.0 * e} for e in range(1, 5)]
    fitted = SimpleNamespace(records=records, best_epoch=4, selected_by="val_loss")
    figure = plot.curves(fitted)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["best epoch, by validation loss: 4"]
    units = [axes.get_ylabel() for axes in figure.axes]
    assert units == ["training loss", "validation loss", "validation accuracy (%)"]
    assert plot.curves(records).axes[2].get_ylabel() == "validation accuracy"  # which may be a fraction


def test_a_folder(tmp_path):
    def write(folder, length, result):
        folder.mkdir()
        lines = [json.dumps(record) + "\n" for record in run(length)]
        (folder / "metrics.jsonl").write_text("".join(lines) + '{"epoch": 9')  # a line that is being written
        if result:
            (folder / "result.json").write_text(json.dumps({"best_epoch": result}))

    write(tmp_path / "over", 5, 4)
    figure = plot.curves(tmp_path / "over")
    assert best(figure)["validation loss"] == ([4], [(4, 0.5)])
    assert len(panels(figure)["training loss"][0]) == 5
    write(tmp_path / "under way", 3, None)
    assert best(plot.curves(str(tmp_path / "under way")))["validation loss"] == ([], [])
    (tmp_path / "seeds").mkdir()
    for seed in range(11):
        write(tmp_path / f"seeds/seed-{seed}", 5, 1 + seed % 5)
    figure = plot.curves(tmp_path / "seeds")
    assert len(panels(figure)["training loss"]) == 11 + 1
    assert [x for x, _ in best(figure)["validation loss"][1]] == [1 + seed % 5 for seed in range(11)]
    (tmp_path / "over/metrics.jsonl").write_text("{,\n")
    (tmp_path / "under way/metrics.jsonl").write_text("3\n")
    for name, message in (
        ("nothing", "which has no metrics.jsonl"), ("over", "can't be read"), ("under way", "can't be read"),
    ):  # fmt: skip
        with pytest.raises(GraphError, match=f"`run`: expected the folder of a run, got .*{message}"):
            plot.curves(tmp_path / name)


def test_missing_keys_are_passed_over_and_nan_is_a_gap():
    records = [{"epoch": 1, "loss": 1.0}, {"epoch": 2}, {"epoch": 3, "loss": math.nan}, {"epoch": 4, "loss": None}]
    records += [{"epoch": 5, "loss": 0.5}, {"epoch": 6, "loss": math.inf}]
    [points] = panels(plot.curves(records))["training loss"]
    assert [x for x, _ in points] == [1, 3, 4, 5, 6]
    assert [x for x, y in points if not math.isnan(y)] == [1, 5]


def test_several_runs_have_a_mean_where_all_of_them_are():
    figure = plot.curves([run(4), outcome(run(2, shift=1.0), 1)])
    *thin, mean = [line for line in figure.axes[0].get_lines() if line.get_color() != INK]
    assert [len(line.get_xdata()) for line in thin] == [4, 2]
    assert list(mean.get_ydata()) == pytest.approx([1.5, 1.0])
    assert mean.get_linewidth() > thin[0].get_linewidth()
    figure = plot.curves([run(4), [{"epoch": e, "loss": 1.0} for e in (1, 2)]])
    assert [len(lines) for lines in panels(figure).values()] == [3, 1]  # one run alone has a validation loss
    figure = plot.curves([run(4), outcome(run(2, shift=1.0), 1)])
    assert "training, mean of 2" in [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(
    ("records", "clock"),
    [
        ([{"epoch": 1, "step": 5, "loss": 1}, {"epoch": 2, "step": 9, "loss": 1}], "epoch"),
        ([{"epoch": 1, "step": 5, "loss": 1}, {"epoch": 1, "step": 9, "loss": 1}], "step"),
        ([{"seconds": 0.5, "loss": 1}, {"seconds": 0.9, "loss": 1}], "seconds"),
        ([{"loss": 1}, {"loss": 2}], "record"),
    ],
)
def test_what_counts_along_x(records, clock):
    axes = plot.curves(records).axes[0]
    assert axes.get_xlabel() == clock
    assert list(axes.get_lines()[0].get_xdata()) == [r.get(clock, i) for i, r in enumerate(records, start=1)]


def test_only_losses_that_span_orders_of_magnitude_are_logarithmic():
    def scales(records):
        return {axes.get_ylabel(): axes.get_yscale() for axes in plot.curves(records).axes}

    assert scales([{"loss": 10.0**-i} for i in range(9)]) == {"training loss": "log"}
    cosine = [{"loss": 0.7, "lr": 1 + math.cos(math.pi * e / 99)} for e in range(100)]
    assert scales(cosine)["learning rate"] == "linear"
    cosine[50]["loss"] = 1e-6  # one step that happened to go well
    assert scales(cosine)["training loss"] == "linear"


@pytest.mark.parametrize("length", [1, 2, 12, 1000])
def test_nothing_is_cut_off_or_covered(length):
    records = run(length)
    for record in records:
        e = record["epoch"]
        record |= {"val_accuracy": 0.5, "lr": 1e-3 / e, "test_quite_a_long_name": 1e5 * e}
    for given in (outcome(records, length), [outcome(records, 1)] * 3):
        figure = plot.curves(given, title="a recipe, seed 0")
        assert not outside(figure) and not overlaps(figure)


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.SVG", b"<?xml"), ("a.pdf", b"%PDF")]
)
def test_files(tmp_path, name, start):
    file = tmp_path / name
    file.write_bytes(b"old")
    plot.curves(run(3), file)
    assert file.read_bytes().startswith(start)
    assert [f.name for f in tmp_path.iterdir()] == [name]  # no temporary file stays
    first = file.read_bytes()
    plot.curves(run(3), str(file))
    assert file.read_bytes() == first


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"old")

    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(GraphError, match=r"a file that can be written, got .*No space left"):
        plot.curves(run(3), tmp_path / "a.png")
    assert [f.name for f in tmp_path.iterdir()] == ["a.png"] and (tmp_path / "a.png").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("records", "path", "message"),
    [
        ([], None, "at least one number"),
        ([{"epoch": 1}], None, "at least one number"),
        ([{"loss": math.nan}], None, "at least one number"),
        ({"loss": 1}, None, "a list of dicts"),
        ([{"loss": 1}, 3], None, r"`run\[1\]`: expected a dict"),
        ([[{"loss": 1}], [3]], None, r"`run\[1\]\[0\]`: expected a run's folder"),
        ([{"loss": 1}, {"loss": "low"}], None, r"`'loss' in record 2`: expected a number"),
        ([{3: 1}], None, "strings for keys"),
        ([{"loss": 1}], "a.gif", r"ends in \.png, \.svg or \.pdf"),
        ([{"loss": 1}], "nowhere/a.png", "a folder that exists"),
        ([{"loss": 1}], 3, r"the path of a \.png, \.svg or \.pdf file"),
    ],
)
def test_errors(records, path, message):
    with pytest.raises(GraphError, match=message):
        plot.curves(records, path)
