"""Operators on plain tensors, each a `torch.library` operator: one file an operator."""
