"""`graphseq parse`, with a small parser of its own."""

import json
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

from graphseq.cli.app import app
from graphseq.nn import SpanParser
from graphseq.parsing import Parser, WordFeatures


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    features = WordFeatures.build([["it", "works", "."]], min_words=1, min_affixes=1)
    sizes = {"embedding_size": 4, "affix_size": 4, "hidden_size": 4, "span_size": 4}
    path = tmp_path / "p.safetensors"
    Parser(SpanParser(len(features.words) + 1, len(features.affixes) + 1, **sizes), features).save(path)
    return str(path)


def run(*arguments, input=None):
    return CliRunner().invoke(app, ["parse", *arguments], input=input)


def test_a_sentence(weights, tmp_path):
    found = run("It works.", "--weights", weights)
    assert found.exit_code == 0 and found.stdout.startswith("(_ ") and found.stdout.count("\n") == 1
    parse = Parser.load(weights).parse("It works.")
    assert found.stdout.strip() == parse.bracketed()
    assert run("It works.", "--weights", weights, "--tree").stdout.strip() == parse.drawn()
    assert json.loads(run("It works.", "--weights", weights, "--json").stdout) == parse.to_dict()
    picture = tmp_path / "a.svg"
    assert run("It works.", "--weights", weights, "--svg", str(picture)).exit_code == 0
    assert "<svg" in picture.read_text()


def test_lines_and_bad_ones(weights, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\xef\xbb\xbfIt works.\n\n\x00\nNo \xff\nFine\r\n")
    found = run(str(path), "--weights", weights, "--json")
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert found.exit_code == 0 and [row["line"] for row in rows] == [1, 5]
    assert rows[0]["tokens"] == ["It", "works", "."] and rows[1]["tokens"] == ["Fine"]
    assert "line 3: `sentence`: expected a text" in found.stderr and "line 4: not UTF-8" in found.stderr
    assert "2 lines were skipped, 2 read" in found.stderr


def test_standard_input(weights):
    found = run("-", "--weights", weights, input="It works.\nFine\n")
    assert len(found.stdout.splitlines()) == 2
    assert run("-", "--weights", weights, input="\x00\n").exit_code == 1
    for blank in ("", "\n\n"):
        found = run("-", "--weights", weights, input=blank)
        assert found.exit_code == 1 and "no sentences" in found.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes that can be waited for")
def test_a_line_is_answered_before_the_next_one_comes(weights):
    command = [sys.executable, "-m", "graphseq", "parse", "-", "--weights", weights, "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for number, line in enumerate((b"It works.\n", b"Fine\n"), start=1):
            process.stdin.write(line)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["line"] == number
        rest, _ = process.communicate(b"and more\nwithout an end")
    assert [json.loads(line)["line"] for line in rest.splitlines()] == [3, 4] and process.returncode == 0


def test_more_lines_than_are_read_at_once(weights, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {i} works\n" if i % 100 else "\n" for i in range(1200)))
    rows = [json.loads(line) for line in run(str(path), "--weights", weights, "--json").stdout.splitlines()]
    assert [row["line"] for row in rows] == [i + 1 for i in range(1200) if i % 100]
    assert all(row["tokens"][1] == str(row["line"] - 1) for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "`sentence`: expected a sentence, a file"),
        (["\x01"], "`sentence`: expected a text with at least one word"),
        (["a", "--tree", "--json"], "`--tree`: expected either --tree or --json"),
        (["a", "--svg", "x.txt"], "`--svg`: expected a file name that ends in"),
        (["."], "`sentence`: expected a sentence or a file"),
        (["nofile.txt"], "`sentence`: expected a file that exists, or a sentence"),
    ],
)
def test_errors(weights, arguments, message):
    found = run(*arguments, "--weights", weights)
    assert found.exit_code == 2 and message in found.stderr
