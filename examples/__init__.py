"""Short scripts, each of which runs as it is; ``python -m examples`` runs them all."""
