"""Confusion matrices."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from graphseq import GraphError, plot
from tests.plot.looks import outside, overlaps


def test_cells_show_counts_and_shares_of_rows():
    axes = plot.confusion(torch.tensor([[3, 1], [0, 0]]), classes=["a", "$b$"], title="$").axes[0]
    assert [t.get_text() for t in axes.texts] == ["3\n75 %", "1\n25 %", "0", "0"]
    assert np.asarray(axes.images[0].get_array()).tolist() == [[0.75, 0.25], [0, 0]]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "$b$"]
    plain = plot.confusion([[3, 1], [0, 0]], normalise=False).axes[0]
    assert [t.get_text() for t in plain.texts] == ["3", "1", "0", "0"]


def test_text_is_light_on_dark_cells():
    colours = [to_rgb(t.get_color()) for t in plot.confusion([[9, 0], [0, 9]]).axes[0].texts]
    assert min(colours[0]) == min(colours[3]) > 0.9 and sum(colours[1]) < 1


def test_many_classes_have_a_bar_instead_of_numbers(tmp_path):
    figure = plot.confusion(np.eye(30), tmp_path / "a.png")
    assert len(figure.axes) == 2 and not figure.axes[0].texts
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("classes", [1, 2, 20, 60])
def test_nothing_is_cut_off_or_covered(classes, tmp_path):
    names = [f"class number {i}" for i in range(classes)]
    figure = plot.confusion(1000 * np.eye(classes) + 1, classes=names, title="a title")
    assert not overlaps(figure) and not outside(figure)


def test_names_are_not_on_top_of_each_other():
    names = ["very negative", "negative", "neutral", "positive", "very positive"]
    figure = plot.confusion(np.eye(5), classes=names)
    assert not overlaps(figure) and not outside(figure)
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == names
    assert all(t.get_rotation() == 0 for t in plot.confusion(np.eye(5)).axes[0].get_xticklabels())


@pytest.mark.parametrize(
    ("matrix", "options", "message"),
    [
        ([[1, 2, 3], [4, 5, 6]], {}, r"shape \[2, 3\]"),
        ([[1, 2], [3]], {}, r"numbers of shape \[C, C\]"),
        ([[1, -2], [3, 4]], {}, "below 0"),
        ([[1, float("nan")], [3, 4]], {}, "NaN"),
        ([], {}, "from 1 to 60"),
        (np.eye(61), {}, "from 1 to 60"),
        ([[1, 2], [3, 4]], {"classes": ["a"]}, "2 names"),
        ([[1, 2], [3, 4]], {"classes": "ab"}, "2 names"),
        ([[1, 2], [3, 4]], {"title": None}, "`title`"),
        ([[1, 2], [3, 4]], {"path": "a.gif"}, "`path`"),
    ],
)
def test_errors(matrix, options, message):
    with pytest.raises(GraphError, match=message):
        plot.confusion(matrix, **options)
