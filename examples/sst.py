"""The sentiment of every phrase of a sentence: a Tree-LSTM trained on the Stanford Sentiment Treebank.

Run ``python examples/sst.py --picture phrases.png``; the treebank must be in a data root.
"""

from __future__ import annotations

import argparse

from graphseq import plot
from graphseq.convert import leaf_spans, read_trees
from graphseq.datasets import SENTIMENTS
from graphseq.recipes import Job, open_run, train

SENTENCE = "(_ (_ (_ A) (_ film)) (_ (_ that) (_ (_ is) (_ (_ (_ not) (_ bad)) (_ (_ at) (_ all))))))"


def main(out: str = "runs/examples/sst", epochs: int = 3, hidden: int = 150, picture: str | None = None) -> list[str]:
    """Train, print the predicted class of each phrase of a sentence, and return them."""
    resume = Job(resume=True, verbose=True)  # when run again, it finds the finished run
    summary = train("sst-treelstm", out, job=resume, epochs=epochs, hidden=hidden)
    print(f"SST, five classes at the roots: dev accuracy {summary['mean']:.1f} %\n")

    phrases = open_run(out).predict(SENTENCE)  # one for each node of the tree, in the order of its nodes
    for phrase in phrases:
        print(f"{phrase['input']:32}{phrase['class']:15}{phrase['probability']:.0%}")
    if picture is not None:
        tree = read_trees(SENTENCE)[0]
        assert len(leaf_spans(tree)) == len(phrases)
        colours = [SENTIMENTS.index(phrase["class"]) for phrase in phrases]
        unlabelled = [""] * len(phrases)  # not the _ of the text above
        plot.tree(tree, picture, colours=colours, names=SENTIMENTS, labels=unlabelled)
    return [phrase["class"] for phrase in phrases]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="runs/examples/sst", help="the folder of the run")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=150, help="hidden units")
    parser.add_argument("--picture", metavar="FILE", help="draw the predictions: a .png, .svg or .pdf file")
    main(**vars(parser.parse_args()))
