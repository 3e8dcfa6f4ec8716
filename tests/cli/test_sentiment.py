"""`graphseq sentiment`, with a small model of its own."""

import json
import re

import pytest
from typer.testing import CliRunner

from graphseq.cli.app import app
from graphseq.parsing import SentimentModel, scorer
from tests.parsing.test_scorer import TREE, make, make_parser


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.setattr(scorer, "parser", make_parser)
    make().save(tmp_path / "s.safetensors")
    return str(tmp_path / "s.safetensors")


def run(*arguments, input=None):
    return CliRunner().invoke(app, ["sentiment", *arguments], input=input)


@pytest.mark.parametrize("sentence", [TREE, "The film is good."])
def test_a_sentence(weights, tmp_path, sentence):
    wanted = SentimentModel.load(weights).score(sentence)
    found = run(sentence, "--weights", weights, "--svg", str(tmp_path / "a.svg"), "--html", str(tmp_path / "a.html"))
    assert found.exit_code == 0
    assert found.stdout.endswith(wanted.drawn() + "\n")
    assert "<svg" in (tmp_path / "a.svg").read_text()
    assert (tmp_path / "a.html").read_text() == wanted.page()
    assert json.loads(run(sentence, "--weights", weights, "--json").stdout) == wanted.to_dict()
    words = json.loads(run(sentence, "--weights", weights, "--json", "--words").stdout)["words"]
    assert [word for word, _ in words] == wanted.parse.tokens
    assert "What each word adds" in run(sentence, "--weights", weights, "--words").stdout


def test_lines_and_bad_ones(weights, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes(f"The film.\n\n(_ a\n\xff\n{TREE}\n".encode("latin1"))
    found = run(str(path), "--weights", weights, "--json")
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert found.exit_code == 0
    assert [row["line"] for row in rows] == [1, 5]
    assert "line 3:" in found.stderr
    assert "line 4: not UTF-8" in found.stderr
    assert "2 lines were skipped, 2 read" in found.stderr
    plain = run(str(path), "--weights", weights).stdout.splitlines()
    assert len(plain) == 2
    assert plain[0].endswith("The film .")
    assert run("-", "--weights", weights, input="(_\n").exit_code == 1


def test_a_page_and_words_of_lines(weights, tmp_path):
    given, model = ["The film.", "A <good> film."], SentimentModel.load(weights)
    page = tmp_path / "a.html"
    found = run("-", "--weights", weights, "--html", str(page), "--words", "--json", input="\n".join(given))
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    for row, sentence in zip(rows, given, strict=True):
        wanted = [[word, round(part, 4)] for word, part in model.attributions(sentence)]
        assert row["words"] == wanted and len(wanted) == len(row["parse"]["tokens"])
    text = page.read_text()
    assert text.count("<svg") == text.count("<h1>") == 2 and "<title>2 sentences</title>" in text
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids)) > 10 and set(re.findall(r'(?:url\(|href=")#([^")]*)', text)) <= set(ids)
    assert "<h1>The film .</h1>" in text and "&lt;" in text and "<good>" not in text
    plain = run("-", "--weights", weights, "--words", input="The film.\n").stdout
    assert all(f"{word} {part:+.2f}" in plain for word, part in model.attributions("The film."))


@pytest.mark.parametrize(("arguments", "message"), [
    ([""], "`sentence`: expected a sentence, a file"),
    (["a film", "--svg", "a.gif"], "`--svg`"),
    (["-", "--svg", "a.svg"], "`--svg`: expected one sentence"),
    (["-", "--html", "."], "`--html`: expected a file to write"),
])  # fmt: skip
def test_what_is_refused(weights, arguments, message):
    found = run(*arguments, "--weights", weights, input="a\n")
    assert found.exit_code != 0
    assert message in found.stderr + str(found.exception)
