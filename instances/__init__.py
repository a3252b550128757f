"""Names to instances: published benchmarks, generated presets and files, with the best known bounds."""

from .catalogue import FAMILIES, Bounds, bounds, load, load_many, names, presets, summary

__all__ = ["FAMILIES", "Bounds", "bounds", "load", "load_many", "names", "presets", "summary"]
