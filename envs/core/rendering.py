"""How a schedule is shown, the same for the single and the vector environment."""

from .errors import OptionError
from .registry import Family
from .schedule import Schedule

MODES = ["rgb_array", "ansi"]
ANSI_COLUMNS = 100
WITHOUT_MODE = "render() needs a render_mode, given when the environment is made"


def check_mode(mode: str | None) -> None:
    """Refuse a render mode that there is not.

    Raises:
        OptionError: listing the modes.
    """
    if mode not in (None, *MODES):
        raise OptionError(f"render_mode must be one of {MODES} or None, got {mode!r}")


def draw(family: Family, schedule: Schedule, mode: str):
    """An (H, W, 3) uint8 picture or a text chart of a schedule, as the mode says."""
    room = family.room("render")
    return room.gantt_ansi(schedule, ANSI_COLUMNS) if mode == "ansi" else room.gantt_rgb(schedule)
