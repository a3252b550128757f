"""Every error the package raises on purpose, so that a caller can catch the one that concerns them."""


class DispatchGymError(Exception):
    """Base of all errors raised by this package."""


class InstanceError(DispatchGymError, ValueError):
    """An instance is malformed or too large; the message starts with where it came from.

    Args:
        message: what was found and what was expected.
        where: a file, a catalogue name or a description of the source.
        line: the one-based line in that source, when there is one.
    """

    def __init__(self, message: str, where: str = "instance", line: int | None = None):
        self.where, self.line = where, line
        super().__init__(f"{where}:{line}: {message}" if line is not None else f"{where}: {message}")


class UnknownNameError(DispatchGymError, LookupError):
    """A name is not known; the message lists the names that are.

    Args:
        kind: what the name was meant to be, such as ``"policy"``.
        name: the name that was asked for.
        known: the names that would have been understood.
    """

    def __init__(self, kind: str, name: object, known):
        self.kind, self.name, self.known = kind, name, sorted(map(str, known))
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(self.known)}")


class OptionError(DispatchGymError, ValueError):
    """An option has a value outside of what it accepts; the message names both."""


class ScheduleError(DispatchGymError, ValueError):
    """A schedule or a result holds numbers that cannot be true."""


class CheckpointError(DispatchGymError):
    """A checkpoint is missing, torn, or does not fit what is to be loaded into it."""


class NumericalError(DispatchGymError, ArithmeticError):
    """A NaN or an infinity appeared; the message names the tensor and the step."""
