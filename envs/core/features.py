"""What the observations of all families use to write their features."""

import warp as wp


@wp.func
def clip(x: float, low: float, high: float):
    """Bring a number within the bounds of a feature."""
    return wp.min(wp.max(x, low), high)
