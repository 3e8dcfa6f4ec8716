"""Recipes: named, reproducible jobs of data, model and training."""

from .base import Metadata, Prediction, Recipe, Source, Splits
from .cross import cross_validate
from .folds import hold_out, parts
from .load import Predictions, Run, load, open_run
from .own import OwnRecipe
from .registry import all_recipes, find_recipe, reference_results
from .run import Job, default_folder, new_folder, train

__all__ = [
    "Job",
    "Metadata",
    "OwnRecipe",
    "Prediction",
    "Predictions",
    "Recipe",
    "Run",
    "Source",
    "Splits",
    "all_recipes",
    "cross_validate",
    "default_folder",
    "find_recipe",
    "hold_out",
    "load",
    "new_folder",
    "open_run",
    "parts",
    "reference_results",
    "train",
]
