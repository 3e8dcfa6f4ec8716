"""Operators on plain tensors, each a `torch.library` operator: one file per operator."""
