"""``graphseq demo --quick``: with sentences and without, twice, and what it prints works."""

import re
import shlex

import pytest

from graphseq.cli import demo
from graphseq.errors import MissingData


def commands(out):
    """The commands that the demo ends with, without the program's name."""
    lines = [line.strip() for line in out[out.index("Next steps:") :].splitlines() if line.startswith("    ")]
    return [shlex.split(re.split(r"graphseq (?=predict|train|doctor)", line, maxsplit=1)[1]) for line in lines]


@pytest.fixture
def no_data(monkeypatch):
    """No data set is to be had; what is built in is read from the cache as ever."""
    train = demo.train

    def without(recipe, out, *, job):
        name = recipe.name
        if name in ("cora-gcn", "mutag-gin", "sst-treelstm"):
            raise MissingData(f"{name} is in no data root; looked for\n  /here\nTo get it, look at https://example.org")
        return train(recipe, out, job=job)

    monkeypatch.setattr(demo, "train", without)


def test_without_data(graphseq, no_data, tmp_path):
    done = graphseq("demo", "--quick", "--offline")
    for name in ("karate-gcn", "digits-gru", "stdlib-treelstm"):
        assert re.search(rf"^{name} .* test accuracy \d+\.\d % +\d+ s$", done.out, re.M)
    assert re.findall(r"Left out: (\S+)\.", done.out) == ["cora-gcn", "mutag-gin", "sst-treelstm"]
    assert "Left out: cora-gcn. To get it, look at https://example.org\n" in done.out and "/here" not in done.out
    pictures = {path.name for path in (tmp_path / "runs/demo/pictures").iterdir()}
    assert pictures == {
        "karate.png", "function.png", "karate-gcn-curves.png", "digits-gru-curves.png", "stdlib-treelstm-curves.png",
    }  # fmt: skip
    again = graphseq("demo", "--quick", "--offline", "--out", "runs/demo")  # over: shown again
    assert [re.sub(r" +\d+ s$", "", line) for line in again.out.splitlines()] == [
        re.sub(r" +\d+ s$", "", line) for line in done.out.splitlines()
    ]
    found = commands(done.out)
    assert [words[0] for words in found] == ["predict", "train", "doctor"]
    assert "line 1" in graphseq(*found[0]).out
    assert "± " in graphseq(*found[1], "--epochs", 2).out
    assert graphseq(*found[2]).out.endswith("Nothing failed.\n")


SENTENCES = """\
(3 (2 It) (3 (3 works) (2 .)))
(0 (2 (2 Two) (2 hours)) (0 (2 of) (0 (1 bad) (0 (2 and) (0 (0 worse) (2 jokes))))))
(4 (2 (2 A) (2 film)) (4 (2 that) (4 (2 is) (4 (2 (2 not) (1 bad)) (2 (2 at) (2 all))))))
"""


def test_with_sentences(graphseq, monkeypatch, tmp_path):
    (tmp_path / "root/sst").mkdir(parents=True)
    for split in ("train", "dev"):
        (tmp_path / f"root/sst/{split}.txt").write_text(SENTENCES)
    karate = next(part for part in demo._PARTS if part.recipe == "karate-gcn")
    sentences = next(part for part in demo._PARTS if part.recipe == "sst-treelstm")
    short = sentences._replace(quick={**sentences.quick, "check": False})
    monkeypatch.setattr(demo, "_PARTS", (karate, short))
    done = graphseq("demo", "--quick", "--data-root", "root")
    assert "Left out" not in done.out and (tmp_path / "runs/demo/pictures/sentence.png").stat().st_size > 5000
    predict = commands(done.out)[0]
    assert "not bad at all" in predict[-1] and "%" in graphseq(*predict).out


def test_a_second_demo_has_a_folder_of_its_own(tmp_path):
    for number in ("", "-2"):
        (tmp_path / f"runs/demo{number}").mkdir(parents=True)
    assert demo.new_folder(tmp_path / "runs/demo") == tmp_path / "runs/demo-3"


def test_the_parts_are_recipes():
    for part in demo._PARTS:
        for options in (part.options, part.quick):
            demo.find_recipe(part.recipe, **options)
