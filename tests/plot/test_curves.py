"""Training curves: what lands in which panel, gaps, means, and files."""

import math

import pytest

from graphseq import GraphError, plot


def lines(figure):
    """Every line of every panel: (panel, legend) → points."""
    return {
        (axes.get_ylabel(), line.get_label()): list(zip(*line.get_data(), strict=True))
        for axes in figure.axes
        for line in axes.get_lines()
    }


def run(length, shift=0.0):
    return [{"epoch": e, "step": 9 * e, "loss": 1 / e + shift, "val_loss": 2 / e + shift} for e in range(1, length + 1)]


def test_losses_share_a_panel_and_metrics_have_their_own():
    records = [
        {"epoch": e, "seconds": 0.1, "loss": 1.0, "val_loss": 2.0, "val_accuracy": 0.1 * e, "lr": 0.1 / e, "run": "a"}
        for e in (1, 2, 3)
    ]
    found = lines(plot.curves(records, title="$"))
    assert sorted(found) == [
        ("accuracy", "validation"), ("learning rate", "lr"), ("loss", "training"), ("loss", "validation"),
    ]  # fmt: skip
    assert found["loss", "validation"] == [(1, 2), (2, 2), (3, 2)]


def test_a_constant_learning_rate_is_not_drawn():
    figure = plot.curves([{"loss": 1.0, "lr": 0.1}, {"loss": 0.5, "lr": 0.1}])
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss"]


def test_missing_keys_are_passed_over_and_nan_is_a_gap():
    records = [{"epoch": 1, "loss": 1.0}, {"epoch": 2}, {"epoch": 3, "loss": math.nan}, {"epoch": 4, "loss": None}]
    records += [{"epoch": 5, "loss": 0.5}, {"epoch": 6, "loss": math.inf}]
    [points] = lines(plot.curves(records)).values()
    assert [x for x, _ in points] == [1, 3, 4, 5, 6]
    assert [x for x, y in points if not math.isnan(y)] == [1, 5]


def test_several_runs_have_a_mean_where_all_of_them_are():
    figure = plot.curves([run(4), run(2, shift=1.0)])
    drawn = [line for line in figure.axes[0].get_lines() if line.get_color() == "#0072B2"]
    thin, mean = drawn[:2], drawn[2]
    assert [len(line.get_xdata()) for line in thin] == [4, 2]
    assert list(mean.get_ydata()) == pytest.approx([1.5, 1.0])
    assert mean.get_linewidth() > thin[0].get_linewidth()


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


def test_every_series_of_a_panel_has_a_colour_of_its_own():
    records = [{"loss": 1, "aux_loss": 2, "val_loss": 3, "val_aux_loss": 4, "test_loss": 5}] * 2
    colours = [line.get_color() for line in plot.curves(records).axes[0].get_lines()]
    assert len(set(colours)) == 5
    assert colours[:3] == ["#0072B2", "#D55E00", "#009E73"]  # training, validation, test


def test_losses_over_orders_of_magnitude_are_logarithmic():
    assert plot.curves([{"loss": 10.0**-i} for i in range(5)]).axes[0].get_yscale() == "log"
    assert plot.curves(run(5)).axes[0].get_yscale() == "linear"


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.SVG", b"<?xml")])
def test_files(tmp_path, name, start):
    file = tmp_path / name
    file.write_bytes(b"old")
    plot.curves(run(3), file)
    assert file.read_bytes().startswith(start)
    assert [f.name for f in tmp_path.iterdir()] == [name]  # no temporary file stays
    first = file.read_bytes()
    plot.curves(run(3), str(file))
    assert file.read_bytes() == first


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "a.png").mkdir()  # can't be replaced by a file
    with pytest.raises(GraphError, match="a file that can be written"):
        plot.curves(run(3), tmp_path / "a.png")
    assert [f.name for f in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("records", "path", "message"),
    [
        ([], None, "at least one number"),
        ([{"epoch": 1}], None, "at least one number"),
        ([{"loss": math.nan}], None, "at least one number"),
        ("metrics.json", None, "a list of dicts"),
        ({"loss": 1}, None, "a list of dicts"),
        ([{"loss": 1}, 3], None, r"`records\[0\]`: expected a dict as the others are"),
        ([[{"loss": 1}], [3]], None, r"`records\[1\]\[0\]`: expected a dict"),
        ([{"loss": 1}, {"loss": "low"}], None, r"`records\[1\]\['loss'\]`: expected a number"),
        ([{3: 1}], None, "strings for keys"),
        ([{"loss": 1}], "a.pdf", r"ends in \.png or \.svg"),
        ([{"loss": 1}], "nowhere/a.png", "a folder that exists"),
        ([{"loss": 1}], 3, "the path of a .png or .svg file"),
    ],
)
def test_errors(records, path, message):
    with pytest.raises(GraphError, match=message):
        plot.curves(records, path)
