"""The most probable trees by a grammar in Chomsky normal form."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .library import Operator

__all__ = ["best_derivations"]


def _body(
    lexical: Tensor, first: Tensor, lengths: Tensor, rules: Tensor, weight: Tensor, start: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    most = _most(lexical)
    spans, symbols, score = [], [], []
    for begin, n in zip(first.tolist(), lengths.tolist(), strict=True):
        nodes, value = _one(lexical[begin : begin + n], rules, weight, start)
        score.append(value)
        spans.append([[i, j] for i, j, _ in nodes] + [[-1, -1]] * (most - len(nodes)))
        symbols.append([a for *_, a in nodes] + [-1] * (most - len(nodes)))
    device, count = lexical.device, len(lengths)
    return (
        torch.tensor(spans, dtype=torch.int64, device=device).view(count, most, 2),
        torch.tensor(symbols, dtype=torch.int64, device=device).view(count, most),
        torch.tensor(score, dtype=torch.float64, device=device),
    )


def _one(lexical: Tensor, rules: Tensor, weight: Tensor, start: Tensor) -> tuple[list[tuple[int, int, int]], float]:
    """Return the nodes of one sentence's tree in preorder, and the logarithm of its probability."""
    n, kinds = lexical.shape
    never = -torch.inf
    chart = {(i, i + 1): lexical[i] for i in range(n)}
    back: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    for width in range(2, n + 1):
        for i in range(n + 1 - width):
            j = i + width
            options = torch.stack([
                chart[i, k].index_select(0, rules[:, 0]) + chart[k, j].index_select(0, rules[:, 1]) + weight
                for k in range(i + 1, j)
            ])  # fmt: skip
            value, split = options.max(0)  # of each rule
            best = value.new_full((kinds,), never).scatter_reduce(0, rules[:, 2], value, "amax")
            hit = (value == best.index_select(0, rules[:, 2])) & (value > never)
            place = torch.arange(len(rules), device=rules.device)
            rule = rules.new_full((kinds,), len(rules)).scatter_reduce(
                0, rules[:, 2], torch.where(hit, place, len(rules)), "amin"
            )
            chart[i, j], back[i, j] = best, (split + i + 1, rule)
    if not n:
        return [], never
    total = chart[0, n] + start
    score, root = float(total.max()), int(total.argmax())
    waiting, nodes = [(0, n, root)] if score > never else [], []
    while waiting:
        i, j, a = waiting.pop()
        nodes.append((i, j, a))
        if j - i > 1:
            splits, chosen = back[i, j]
            r = int(chosen[a])
            k = int(splits[r])
            waiting += [(k, j, int(rules[r, 1])), (i, k, int(rules[r, 0]))]
    return nodes, score


def _most(lexical: Tensor) -> int:
    return max(2 * lexical.size(0) - 1, 0)  # nodes, if there is one sentence


def _cpu(
    lexical: Tensor, first: Tensor, lengths: Tensor, rules: Tensor, weight: Tensor, start: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    from .kernels import grammar
    from .kernels.jit import array

    count, kinds = len(lengths), lexical.size(1)
    by_left = torch.searchsorted(rules[:, 0].contiguous(), torch.arange(kinds + 1))
    spans = rules.new_full((count, _most(lexical), 2), -1)
    symbols, score = rules.new_full((count, _most(lexical)), -1), weight.new_empty(count)
    given = (lexical, first, lengths, by_left, rules, weight, start, spans, symbols, score)
    grammar.viterbi(int((lengths.double() ** 3).sum()) * kinds, *(array(t.contiguous()) for t in given))
    return spans, symbols, score


def _fake(
    lexical: Tensor, first: Tensor, lengths: Tensor, rules: Tensor, weight: Tensor, start: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    count, most = lengths.size(0), 2 * lexical.size(0) - 1
    return rules.new_empty(count, most, 2), rules.new_empty(count, most), weight.new_empty(count)


_best: Any = Operator(
    "grammar_best(Tensor lexical, Tensor first, Tensor lengths, Tensor rules, Tensor weight, Tensor start)"
    " -> (Tensor, Tensor, Tensor)", _body, _fake, cpu=_cpu,
)  # fmt: skip


def best_derivations(
    lexical: Tensor, lengths: Tensor, rules: Tensor, weight: Tensor, start: Tensor
) -> list[tuple[list[tuple[int, int, int]], float]]:
    """Return the most probable tree of each sentence by a grammar in Chomsky normal form (CKY).

    Of equal ones that with the first split, then the first rule is taken.

    Args:
        lexical: float64 `[N, A]`, the log-probability of each word given each of A symbols, -inf for none.
        lengths: int64 `[B]`, the numbers of words, N in all.
        rules: int64 `[R, 3]`: left child, right child, parent; ascending.
        weight: float64 `[R]`, the logarithms of their probabilities.
        start: float64 `[A]`, the log-probability of each symbol as a root.

    Returns:
        For each sentence the nodes in preorder, first word, the one past the last and symbol, and the logarithm of the
        tree's probability; no nodes and -inf if there is no tree.

    >>> rules, weight = torch.tensor([[1, 2, 0]]), torch.zeros(1, dtype=torch.float64)
    >>> lexical = torch.tensor([[0, 1, 0], [0, 0, 0.5]], dtype=torch.float64).log()
    >>> best_derivations(lexical, torch.tensor([2]), rules, weight, torch.zeros(3, dtype=torch.float64))[0][0]
    [(0, 2, 0), (0, 1, 1), (1, 2, 2)]
    """
    found = []
    ends = [0, *lengths.cumsum(0).tolist()]
    for begin, end in pairwise(ends):  # a sentence at a time: the kernel's room is quadratic in the longest
        n = lengths.new_tensor([end - begin])
        spans, symbols, score = _best(lexical[begin:end], n.new_zeros(1), n, rules, weight, start)
        rows = torch.cat([spans[0], symbols[0, :, None]], 1).tolist()
        found.append(([(i, j, a) for i, j, a in rows if i >= 0], float(score[0])))
    return found
