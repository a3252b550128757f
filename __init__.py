"""dispatchgym: a gym for learning to schedule.

Importing it registers the environments with Gymnasium. Four functions cover most use from Python::

    instance = dispatchgym.load("ta01")
    schedule = dispatchgym.solve(instance, "fdd/mwkr")
    dispatchgym.validate(instance, schedule)     # [] when feasible, else the violations in words
    schedule.metrics()                           # {"makespan": 1433, ...}
"""

import os

from . import envs as envs
from .envs.core.errors import DispatchGymError as DispatchGymError

__version__ = "0.1.0"
__all__ = ["DispatchGymError", "Rule", "load", "solve", "validate"]


def __getattr__(name: str):
    """``dispatchgym.Rule``, found on first use: it needs torch, which importing the package does not."""
    if name == "Rule":
        from .envs.core.policies import Rule

        return Rule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load(name: str, family: str = "job_shop"):
    """Load one instance by catalogue name, preset and seed, or file.

    Args:
        name: such as ``"ta01"``, ``"6x6:3"`` or ``"shop.txt"``.
        family: the problem family the name belongs to.

    Returns:
        The instance.

    Raises:
        UnknownNameError: if the name is not in the catalogue.
        InstanceError: if a file is malformed.

    >>> import dispatchgym
    >>> dispatchgym.load("ft06").size
    '6x6'
    """
    from .instances.catalogue import load as load_instance

    return load_instance(name, family)


def solve(
    instance, policy, *, seed: int = 0, samples: int = 1, active_search: int = 0, time_limit: float = 60.0, **options
):
    """Schedule an instance with a named rule, a solver or a checkpoint.

    Args:
        instance: what ``load`` returned, or a name that it takes.
        policy: a name from ``evaluate.py FAMILY --list``, the folder of a trained policy, or a ``Rule`` of your own.
        seed: key of everything random.
        samples: best of this many attempts, for policies that can randomise.
        active_search: rounds of as many further attempts, between which a trained policy learns on the instance.
        time_limit: seconds, for exact solvers.
        options: of the family, such as ``construction="active"``.

    Returns:
        The best schedule found.

    Raises:
        UnknownNameError: for an unknown policy.
        OptionError: for an option outside of what it accepts.
        DispatchGymError: if an exact solver found nothing in time.

    >>> import dispatchgym
    >>> schedule = dispatchgym.solve(dispatchgym.load("ta01"), "spt")
    >>> schedule.metrics()["makespan"]
    1462
    """
    from .envs.core.solvers import Limits, resolve
    from .envs.core.solvers import solve as run_solver

    instance = load(instance) if isinstance(instance, str | os.PathLike) else instance
    limits = Limits(samples=samples, active_search=active_search, seed=seed, time_limit=time_limit, options=options)
    schedule = run_solver(resolve(policy, instance.family), [instance], limits)[0].schedule
    if schedule is None:
        raise DispatchGymError(f"{policy} found no schedule for {instance.name} within {time_limit} s")
    return schedule


def validate(instance, schedule) -> list[str]:
    """Say in words what is wrong with a schedule; an empty list when it is feasible.

    Args:
        instance: the problem.
        schedule: the claim to check.
    """
    from .envs.core.registry import family

    return [str(violation) for violation in family(instance.family).check(instance, schedule)]
