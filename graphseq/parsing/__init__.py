"""A parser of sentences, and what it is made of."""
