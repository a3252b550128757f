"""Names to instances: published benchmarks, generated presets and files, with the best known bounds."""

from .catalogue import Bounds, bounds, load, load_many, names, presets, summary

__all__ = ["Bounds", "bounds", "load", "load_many", "names", "presets", "summary"]
