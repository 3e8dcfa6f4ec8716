"""Losses and decoding against enumeration of all labelled binary trees."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphseq import GraphError
from graphseq.nn import SpanParser
from graphseq.nn.models import SpanScores
from graphseq.nn.models.parser import all_spans
from graphseq.parsing import decode, labels_of_words, max_margin, tree_crf
from graphseq.topology import Topology
from tests.strategies import examples


def binary(i, j):
    if j - i == 1:
        return [[(i, j)]]
    return [[(i, j), *a, *b] for k in range(i + 1, j) for a in binary(i, k) for b in binary(k, j)]


def labelled(n, labels):
    """All derivations of a sentence: binary trees whose nodes have labels, the root not the null label."""
    for spans in binary(0, n):
        choices = [range(labels) if labels == 1 or span != (0, n) else range(1, labels) for span in spans]
        for names in product(*choices):
            yield list(zip(spans, names, strict=True))


def draw(lengths, labels, members=1, seed=0, *, null=False):
    generator = torch.Generator().manual_seed(seed)
    n = torch.tensor(lengths)
    spans = all_spans(n)
    scores = torch.randn(members, len(spans), labels, dtype=torch.float64, generator=generator)
    if labels > 1 and not null:
        scores[..., 0] = 0
    return SpanScores(spans, scores.requires_grad_(), n)


def total(scores, sentence, tree, member=0):
    rows = {tuple(row): k for k, row in enumerate(scores.spans.tolist())}
    return sum(scores.scores[member, rows[sentence, i, j], label] for (i, j), label in tree)


# A tree of four words with a node of three children, (S (S a) (S b c) d), and its null spans.
NARY = [((0, 4), 1), ((0, 1), 1), ((1, 3), 1)], [(0, 3), (1, 2), (1, 4), (2, 3), (3, 4)]


def target(nodes, null, sentence=0):
    rows = [[sentence, i, j, label] for (i, j), label in nodes] + [[sentence, i, j, 0] for i, j in null]
    return torch.tensor(rows)


def consistent(nodes, null, derivation):
    named = {span: label for span, label in derivation if label}
    return named == dict(nodes) and all(span in dict(nodes) or span in null for span, _ in derivation)


@given(seed=st.integers(0, 1000))
@examples(15)
def test_tree_crf_with_labels(seed):
    scores, (nodes, null) = draw([4], 2, seed=seed), NARY
    every = list(labelled(4, 2))
    gold = [tree for tree in every if consistent(nodes, null, tree)]
    assert len(gold) == 2
    z = torch.stack([total(scores, 0, tree) for tree in every]).logsumexp(0)
    right = torch.stack([total(scores, 0, tree) for tree in gold]).logsumexp(0)
    loss = tree_crf(scores, target(nodes, null))
    torch.testing.assert_close(loss[0], z - right)
    (grad,) = torch.autograd.grad(loss.sum(), scores.scores)
    (plain,) = torch.autograd.grad(z - right, scores.scores)
    torch.testing.assert_close(grad, plain)


@given(seed=st.integers(0, 1000))
@examples(15)
def test_max_margin_with_labels(seed):
    scores, (nodes, null) = draw([4], 2, seed=seed), NARY
    every = list(labelled(4, 2))
    wrong = lambda tree: sum(label > 0 and (span, label) not in nodes for span, label in tree)  # noqa: E731
    worst = max((total(scores, 0, tree) + wrong(tree) for tree in every), key=lambda value: value.item())
    right = [total(scores, 0, tree) for tree in every if consistent(nodes, null, tree)]
    best = max(right, key=lambda value: value.item())
    loss = max_margin(scores, target(nodes, null))
    torch.testing.assert_close(loss[0], (worst - best).clamp(min=0))
    (grad,) = torch.autograd.grad(loss.sum(), scores.scores)
    (plain,) = torch.autograd.grad((worst - best).clamp(min=0), scores.scores)
    torch.testing.assert_close(grad, plain)


@given(seed=st.integers(0, 1000))
@examples(15)
def test_of_a_tree_whose_labels_are_not_known(seed):
    scores, tree = draw([4], 3, seed=seed), [(0, 4), (0, 2), (0, 1), (1, 2), (2, 4), (2, 3), (3, 4)]
    gold = torch.tensor([[0, i, j, -1] for i, j in tree])
    every = list(labelled(4, 3))
    right = [total(scores, 0, found) for found in every if {span for span, _ in found} == set(tree)]
    assert len(right) == 2 * 3**6
    z = torch.stack([total(scores, 0, found) for found in every]).logsumexp(0)
    torch.testing.assert_close(tree_crf(scores, gold)[0], z - torch.stack(right).logsumexp(0))
    known = dict.fromkeys(tree)
    wrong = [total(scores, 0, found) + sum(k > 0 and span not in known for span, k in found) for found in every]
    margin = torch.stack(wrong).max() - torch.stack(right).max()
    torch.testing.assert_close(max_margin(scores, gold)[0], margin.clamp(min=0))


@pytest.mark.parametrize("loss", [tree_crf, max_margin])
@pytest.mark.parametrize("row", [[0, 2, 3, 3], [0, 2, 3, -2], [1, 0, 1, 0], [0, 3, 5, 0], [0, 2, 2, 0], [-1, 0, 1, 0]])
def test_gold_that_is_none(loss, row):
    with pytest.raises(GraphError, match="`gold`: expected spans of 1 sentences, labels from -1 to 2"):
        loss(draw([4], 3), torch.tensor([[0, 0, 4, 1], row]))
    with pytest.raises(GraphError, match=r"`gold`: expected int64 of shape \[M, 4\]"):
        loss(draw([4], 3), torch.tensor([[0, 0, 4]]))
    with pytest.raises(GraphError, match="`gold`: expected spans of each sentence, got a sentence without any"):
        loss(draw([4, 0, 2], 3), torch.tensor([[0, 0, 4, 1]]))


def test_labels_of_words_are_of_words_alone():
    labels, mask = ["", "NP", "NP+NN", "NN"], torch.tensor([False, False, True, True])
    assert torch.equal(labels_of_words(labels, ["NN", "DT"]), mask) and labels_of_words(labels, []) is None
    for seed in range(10):
        scores = draw([4, 1, 0, 3], 4, seed=seed)
        for by_marginals in (True, False):
            spans, found = decode(scores, by_marginals=by_marginals, of_words=mask)
            width, there = (spans[..., 1] - spans[..., 0])[spans[..., 0] >= 0], found[spans[..., 0] >= 0]
            assert torch.equal(mask[there], width == 1) and int((width == 1).sum()) == 8


@pytest.mark.parametrize("loss", [tree_crf, max_margin])
def test_without_labels_and_of_several_members(loss):
    scores = draw([4, 1, 3], 1, members=2)
    trees = [binary(0, 4)[2], binary(0, 1)[0], binary(0, 3)[1]]
    gold = torch.tensor([[b, i, j, 0] for b, tree in enumerate(trees) for i, j in tree])
    found = loss(scores, gold)
    for b, (n, tree) in enumerate(zip([4, 1, 3], trees, strict=True)):
        losses = []
        for member in range(2):
            every = [(spans, total(scores, b, [(s, 0) for s in spans], member)) for spans in binary(0, n)]
            right = next(score for spans, score in every if spans == tree)
            if loss is tree_crf:
                losses.append(torch.stack([score for _, score in every]).logsumexp(0) - right)
            else:
                wrong = [score + sum(span not in tree for span in spans) for spans, score in every]
                losses.append((max(wrong, key=lambda value: value.item()) - right).clamp(min=0))
        torch.testing.assert_close(found[b], sum(losses) / 2)


@given(seed=st.integers(0, 1000), members=st.integers(1, 2), null=st.booleans())
@examples(15)
def test_decoding(seed, members, null):
    scores = draw([3], 3, members, seed, null=null)
    every = list(labelled(3, 3))
    chances = []
    for member in range(members):
        p = torch.stack([total(scores, 0, tree, member) for tree in every]).softmax(0).tolist()
        share = {}
        for tree, chance in zip(every, p, strict=True):
            for node in tree:
                share[node] = share.get(node, 0) + chance / members
        chances.append(share)
    gain = {node: sum(share.get(node, 0) for share in chances) for node in chances[0]}
    least = 0.3
    risk = lambda tree: sum(gain[node] - least for node in tree if node[1])  # noqa: E731
    spans, labels = decode(scores, threshold=least)
    found = [(tuple(span), label) for span, label in zip(spans[0].tolist(), labels[0].tolist(), strict=True)]
    assert risk(found) == pytest.approx(max(map(risk, every)))
    spans, labels = decode(scores, by_marginals=False)
    found = [(tuple(span), label) for span, label in zip(spans[0].tolist(), labels[0].tolist(), strict=True)]
    both = lambda tree: sum(total(scores, 0, tree, k).item() for k in range(members))  # noqa: E731
    assert both(found) == pytest.approx(max(map(both, every)))


def test_the_model_learns_a_tree():
    torch.manual_seed(0)
    parser = SpanParser(9, 2, 3, embedding_size=8, affix_size=2, hidden_size=8, span_size=8, dropout=0.0, unknown=0.0)
    words, affixes = torch.arange(1, 5), torch.ones(4, 1, dtype=torch.int64)
    nodes, null = NARY
    optimizer = torch.optim.Adam(parser.parameters(), 0.02)
    for _ in range(60):
        loss = tree_crf(parser(words, affixes, Topology.chain([4])), target(nodes, null)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    spans, labels = decode(parser.eval()(words, affixes, Topology.chain([4])))
    found = {tuple(s): label for s, label in zip(spans[0].tolist(), labels[0].tolist(), strict=True) if label}
    assert loss.item() < 0.1 and found == dict(nodes)


def test_scores_of_a_sentence_do_not_depend_on_its_batch():
    torch.manual_seed(0)
    parser = SpanParser(9, 9, 3, embedding_size=4, affix_size=4, hidden_size=4, span_size=4, members=2).eval()
    words, affixes = torch.randint(9, (8,)), torch.randint(9, (8, 2))
    together = parser(words, affixes, Topology.chain([3, 0, 5]))
    for b, (low, high) in {0: (0, 3), 2: (3, 8)}.items():
        alone = parser(words[low:high], affixes[low:high], Topology.chain([high - low]))
        mine = together.spans[:, 0] == b
        torch.testing.assert_close(together.scores[:, mine], alone.scores)
        assert torch.equal(together.spans[mine, 1:], alone.spans[:, 1:])
