"""Short scripts, each of which runs as it is: ``python examples/karate.py``."""
