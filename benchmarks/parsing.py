"""Sentences that are parsed, and whose sentiment is told, by the models that come with graphseq."""

from __future__ import annotations

import subprocess
import sys
import time

import graphseq as gs
from graphseq.datasets import SST
from graphseq.parsing import parse, parse_many, sentiment, sentiment_many

from . import pairs
from .timing import ROUNDS, Row, compare, cost, over, speed_up

SENTENCES, ONE_BY_ONE = 512, 100


def rows(notes: list[str]) -> list[Row]:
    """Measure rates, the first answer of a process, and how the time grows with the length of a sentence."""
    texts = _texts(notes)
    some = texts[:ONE_BY_ONE]
    many, single, felt, one_felt = compare(
        lambda: list(parse_many(texts)), lambda: [parse(text) for text in some], lambda: list(sentiment_many(texts)),
        lambda: [sentiment(text) for text in some],
    )  # fmt: skip
    n, m = [float(len(texts))] * ROUNDS, [float(len(some))] * ROUNDS
    found = [
        speed_up("parsing", "sentences per second, parsed in batches of 64", over(n, many), 1000),
        speed_up("parsing", "sentences per second, parsed singly", over(m, single), 250),
        speed_up("parsing", "sentences per second, with their sentiment, in batches of 64", over(n, felt), 150),
        speed_up("parsing", "sentences per second, with their sentiment, singly", over(m, one_felt)),
    ]
    for command in ("parse", "sentiment"):
        took = [_first(command) for _ in range(5)]
        found.append(cost("parsing", f"seconds until `graphseq {command}` has answered, a process each", took, 3))
    return found + _growth(" ".join(texts).split())


def _texts(notes: list[str]) -> list[str]:
    try:
        return [" ".join(tree.tokens) for tree in SST("dev").trees[:SENTENCES]]
    except gs.GraphError:
        notes.append("SST is not here: the sentences parsed are those of the minimal pairs.")
        return [sentence for *_, sentence in pairs.read()]


def _first(command: str) -> float:
    start = time.perf_counter()
    run = [sys.executable, "-m", "graphseq", command, "A film that is not bad at all."]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _growth(words: list[str]) -> list[Row]:
    """Return the seconds of one sentence, of more and more words: beyond 256 it is parsed in parts."""
    while len(words) < 10_000:
        words = words + words
    lengths = (25, 50, 100, 200, 2000, 10_000)
    times = compare(*[lambda n=n: parse(words[:n]) for n in lengths], rounds=5, warmup=2)
    bars = {200: 1.0}
    return [
        cost("parsing", f"seconds for a sentence of {n:,} words", took, bars.get(n))
        for n, took in zip(lengths, times, strict=True)
    ]
