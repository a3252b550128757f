"""Setup times and windows as the model packs them: which there are, their padded sizes, and their rows of the bank."""

import numpy as np

from ..core.errors import OptionError
from .instance import JobShopInstance
from .options import Options
from .setups import least_setups
from .simulator_state import SETUP_KINDS


class Limits:
    """What an environment must know of the setup times and windows of its instances.

    Args:
        instances: what must fit.
        options: the construction.

    Attributes:
        setups, calendars: whether there are setup times, and windows.
        families, windows: how many families, and windows of a machine, there are at most.

    Raises:
        OptionError: for setup times with insertion.
    """

    def __init__(self, instances: list[JobShopInstance], options: Options):
        self.setups = any(instance.setup is not None for instance in instances)
        self.calendars = any(instance.windows is not None for instance in instances)
        self.families = max(0 if one.setup is None else one.setup.shape[2] for one in instances)
        self.windows = max(0 if one.windows is None else one.windows.shape[1] for one in instances)
        if self.setups and options.delta is None:
            named = next(instance.name for instance in instances if instance.setup is not None)
            raise OptionError(
                f"construction insertion knows no setup times, which {named} has: an operation in a gap would change "
                "the setup of the one behind it; use active, non-delay, wait or a number"
            )

    def settings(self) -> dict[str, int]:
        """Values of the option fields."""
        return {
            "limited": int(self.setups or self.calendars), "setups": int(self.setups), "calendars": int(self.calendars)
        }  # fmt: skip

    def sizes(self, jobs: int, machines: int, actions: int) -> dict[str, int]:
        """Length of every axis that is about them."""
        return {
            "setup_machine": machines * self.setups, "setup_row": self.families + 2, "family": self.families,
            "setup_job": jobs * self.setups, "window_machine": machines * self.calendars, "window": self.windows,
            "action_setup": actions * self.setups, "setup_kind": SETUP_KINDS,
        }  # fmt: skip

    def waits(self, jobs: int, operations: int) -> int:
        """How often all can be put off at most: between two operations until any job, or a window's end, is next."""
        ends = self.windows * self.calendars
        return operations * jobs * (1 + ends)

    def fits(self, instance: JobShopInstance) -> bool:
        """Whether an instance's setup times and windows are within the sizes."""
        families = 0 if instance.setup is None else instance.setup.shape[2]
        windows = 0 if instance.windows is None else instance.windows.shape[1]
        return families <= self.families and windows <= self.windows

    def arrays(self, instance: JobShopInstance) -> dict[str, np.ndarray]:
        """The instance's rows of the bank, not yet padded but for the rows of ``setup``."""
        jobs = instance.jobs * self.setups
        setup, family = np.zeros((0, 0, 0)), np.zeros(jobs)
        if instance.setup is not None:
            families, setup = instance.setup.shape[2], np.zeros((instance.machines, self.families + 2, self.families))
            setup[:, : families + 1, :families] = instance.setup
            setup[:, -1, :families] = least_setups(instance)
            family = instance.setup_family
        window = np.zeros((0, 0, 2)) if instance.windows is None else instance.windows
        return {"setup": setup, "setup_family": family, "window": window}

    @staticmethod
    def key(instance: JobShopInstance) -> tuple:
        """Part of the model's ``size_key``; empty without any."""
        parts = [() if part is None else part.shape[1:] for part in (instance.setup, instance.windows)]
        return tuple(parts) if instance.limited else ()
