"""A parser of sentences, and what it is made of."""

from .baselines import left_branching, right_branching
from .features import WordFeatures
from .gold import GoldTree, labelled_tree, matched, unlabelled_tree
from .grammar import Grammar
from .result import Parse
from .scorer import SentimentModel, is_bracketed, read_sentence, sentiment, sentiment_many, sentiment_model
from .sentiments import Phrase, Sentiment
from .shipped import Parser, parse, parse_many, parser, tokens_of
from .trees import decode, labels_of_words, max_margin, tree_crf

__all__ = [
    "GoldTree",
    "Grammar",
    "Parse",
    "Parser",
    "Phrase",
    "Sentiment",
    "SentimentModel",
    "WordFeatures",
    "decode",
    "is_bracketed",
    "labelled_tree",
    "labels_of_words",
    "left_branching",
    "matched",
    "max_margin",
    "parse",
    "parse_many",
    "parser",
    "read_sentence",
    "right_branching",
    "sentiment",
    "sentiment_many",
    "sentiment_model",
    "tokens_of",
    "tree_crf",
    "unlabelled_tree",
]
