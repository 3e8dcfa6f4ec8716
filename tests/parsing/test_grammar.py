"""Induced grammars against NLTK's own parser, and the kernel against its definition."""

import math

import pytest
import torch

from graphseq import GraphError
from graphseq.convert import read_trees
from graphseq.ops import grammar as ops
from graphseq.parsing import Grammar

nltk = pytest.importorskip("nltk")

TOY = """
S -> NP VP [0.7] | VP NP [0.3]
NP -> NP PP [0.4] | D N [0.3] | 'fish' [0.3]
VP -> V NP [0.5] | VP PP [0.3] | 'fish' [0.2]
PP -> P NP [1.0]
D -> 'the' [1.0]
N -> 'cat' [0.6] | 'fish' [0.4]
V -> 'saw' [0.7] | 'fish' [0.3]
P -> 'with' [1.0]
"""
SENTENCES = [
    "the cat saw fish", "fish fish fish", "the cat saw the fish with the cat", "fish saw fish with fish with fish",
]  # fmt: skip


def toy():
    pcfg = nltk.PCFG.fromstring(TOY)
    rules = [(str(p.lhs()), tuple(map(str, p.rhs())), p.prob()) for p in pcfg.productions()]
    return pcfg, Grammar(rules, {"S": 1.0})


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_best_tree_is_nltk_s(sentence):
    pcfg, grammar = toy()
    words = sentence.split()
    [best] = nltk.ViterbiParser(pcfg).parse(words)
    lexical = torch.full((len(words), len(grammar.symbols)), -math.inf, dtype=torch.float64)
    for row, word in enumerate(words):
        for a, chance in grammar._words[word]:
            lexical[row, a] = chance
    given = lexical, torch.tensor([len(words)]), grammar._rules, grammar._weight, grammar._start
    [(nodes, score)] = ops.best_derivations(*given)
    assert score == pytest.approx(math.log(best.prob()))
    begin = torch.tensor([0])
    spans, symbols, value = ops._body(lexical, begin, *given[1:])
    assert value.item() == pytest.approx(score)
    rows = torch.cat([spans[0], symbols[0, :, None]], 1).tolist()
    assert [tuple(row) for row in rows if row[0] >= 0] == nodes
    torch.library.opcheck(torch.ops.graphseq.grammar_best.default, (lexical, begin, *given[1:]))
    brackets = grammar.parse(words).bracketed()
    plain = nltk.Tree.fromstring(brackets)
    assert plain.leaves() == words and len(list(plain.subtrees(lambda t: t.height() > 2))) == len(words) - 1


def test_a_sentence_without_a_tree_branches_to_the_right():
    _, grammar = toy()
    assert grammar.parse(["the", "the", "saw"]).bracketed() == "(S (_ the) (_ the) (_ saw))"


def test_an_induced_grammar_restores_its_own_trees():
    text = """( (S (NP-SBJ (DT the) (JJ old) (JJ red) (NN cat)) (VP (VBD saw) (NP (NN fish))) (. .)) )
    ( (S (NP (NP (NNP Ann))) (VP (VBD slept) (NP (-NONE- *))) (. .)) )"""
    grammar = Grammar.induce(read_trees(text))
    first = grammar.parse(["the", "old", "red", "cat", "saw", "fish", "."]).bracketed()
    assert first == "(S (NP (_ the) (_ old) (_ red) (_ cat)) (VP (_ saw) (NP (_ fish))) (_ .))"
    assert grammar.parse(["Ann", "slept", "."]).tokens == ["Ann", "slept", "."]
    assert grammar.parse(["Bob", "knitted", "7", "hats", "."]).spans.shape == (9, 2)  # words that it doesn't know


def test_errors():
    with pytest.raises(GraphError, match="`productions`: expected a tuple of two symbols or one word"):
        Grammar([("S", ("A", "B", "C"), 1.0)], {"S": 1.0})
    with pytest.raises(GraphError, match="`tokens`: expected a list of at least one word"):
        toy()[1].parse([])
