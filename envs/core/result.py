"""One line of an evaluation: what a policy achieved on an instance."""

import json
import math
import platform
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from .errors import ScheduleError
from .registry import family

PACKAGES = ("dispatchgym", "numpy", "torch", "warp-lang", "ortools", "stable-baselines3", "torch-geometric")


@dataclass(frozen=True)
class Result:
    """What a policy achieved on one instance, ready to be written as one JSON line.

    Attributes:
        family, instance, digest: the problem.
        policy: who answered.
        seed: key of the random draws.
        samples: attempts, of which the best counted; their mean where an attempt cannot be repeated.
        options: of the family that the policy ran with; empty for solvers that do not dispatch.
        objective: name of the metric that ``value`` is.
        value: what was achieved; None if no schedule was found.
        metrics: everything the family reads off a schedule.
        lower_bound: proven, from the catalogue or the solver; None if unknown.
        best_known: best known value; None if unknown.
        gap: from value to best_known, see ``Family.gap``: 0.18 is 18 %, or points; None without both.
        scale: what gaps are a share of where the objective may be 0; None where they are relative.
        violations: what is wrong with the schedule, in words; empty when feasible.
        runtime_s: wall time; for policies run in a batch, the instance's share.
        device: where it ran.
        status: of an exact solver, such as ``"optimal"``, or which of several policies was chosen.
        versions: of the packages that made the number.

    Raises:
        ScheduleError: for numbers that cannot be true.
    """

    family: str
    instance: str
    digest: str
    policy: str
    seed: int
    objective: str
    value: float | None
    metrics: dict[str, float]
    lower_bound: float | None
    best_known: float | None
    violations: list[str]
    runtime_s: float
    device: str = "cpu"
    status: str = ""
    gap: float | None = None
    scale: float | None = None
    samples: int = 1
    options: dict[str, object] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=lambda: versions())

    def __post_init__(self):
        where = f"result of {self.policy} on {self.instance}"
        for name in ("value", "lower_bound", "best_known", "runtime_s"):
            number = getattr(self, name)
            if number is not None and not (math.isfinite(number) and (number >= 0 or name != "runtime_s")):
                raise ScheduleError(f"{where}: {name} cannot be {number}")
        for name, number in {"gap": self.gap, **self.metrics}.items():
            if number is not None and not math.isfinite(number):
                raise ScheduleError(f"{where}: {name} cannot be {number}")
        if self.lower_bound is not None and self.best_known is not None and self.lower_bound > self.best_known:
            raise ScheduleError(f"{where}: the bound {self.lower_bound} exceeds the best known {self.best_known}")
        if self.value is not None and not self.violations and self.lower_bound is not None:
            if self.value < self.lower_bound:
                raise ScheduleError(
                    f"{where}: a feasible {self.objective} of {self.value} cannot be below the proven bound "
                    f"{self.lower_bound}"
                )
        if self.gap is None and self.value is not None and self.best_known is not None:
            object.__setattr__(self, "gap", family(self.family).gap(self.value, self.best_known, self.scale))

    @property
    def problem(self) -> tuple[str, str]:
        """Name and digest: two files may share a name."""
        return self.instance, self.digest

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> "Result":
        """Read what ``to_json`` wrote.

        Raises:
            ScheduleError: if the line is not a result.
        """
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ScheduleError(f"not a result line: {error}") from error


@cache
def versions() -> dict[str, str]:
    """Installed versions of the packages that matter to a number."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
