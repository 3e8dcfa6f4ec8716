"""Short scripts that can be run directly: ``python examples/karate.py``."""
