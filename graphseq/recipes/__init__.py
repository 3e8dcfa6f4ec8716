"""Recipes: named, reproducible jobs of data, model and training."""

from .base import Facts, Prediction, Recipe, Source, Splits
from .cross import cross_validate
from .folds import hold_out, parts
from .load import Run, load, open_run
from .registry import all_recipes, find_recipe, reached
from .run import Job, train

__all__ = [
    "Facts",
    "Job",
    "Prediction",
    "Recipe",
    "Run",
    "Source",
    "Splits",
    "all_recipes",
    "cross_validate",
    "find_recipe",
    "hold_out",
    "load",
    "open_run",
    "parts",
    "reached",
    "train",
]
