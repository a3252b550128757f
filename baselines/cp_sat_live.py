"""Exact schedules of live job shops by constraint programming, as far as their world can be known beforehand."""

from dataclasses import replace

from ..envs.core.errors import OptionError
from ..envs.core.schedule import Schedule
from ..envs.job_shop.conditions import Conditions
from ..envs.job_shop.instance import JobShopInstance
from ..envs.job_shop.validator_world import actual_times
from .cp_sat import CpSatAnswer, solve_job_shop
from .cp_sat_blocking import solve_blocking


def conditions_of(options, seed: int, world: int) -> Conditions:
    """The conditions of an evaluation's first episode.

    Args:
        options: of the family.
        seed: of the evaluation.
        world: number of the instance's world, see ``world_of``.
    """
    told = {name: getattr(options, name) for name in ("buffers", "uptime", "repair", "interrupted", "noise", "sigma")}
    return Conditions(**told, seed=seed % 2**31, world=world)


def solve_live(
    instance: JobShopInstance, conditions: Conditions, time_limit: float = 60.0, seed: int = 0, workers: int = 1
) -> CpSatAnswer:
    """Minimise the objective of a job shop under conditions, knowing them all.

    Under noise the solver knows every actual processing time beforehand, and of jobs that arrive every release. Its
    bound is that of a clairvoyant: no scheduler undercuts it, and one that goes by estimates may have no way to it.

    Args:
        instance: the problem.
        conditions: room between machines, and noise with its key.
        time_limit, seed, workers: see ``solve_job_shop``.

    Returns:
        The answer, its schedule under these conditions.

    Raises:
        OptionError: if machines stop at times, which this model has no word for.
    """
    if conditions.uptime:
        raise OptionError(f"cp-sat knows nothing of machines that stop: it needs uptime 0, got {conditions.uptime}")
    known = instance
    if conditions.noise != "none":
        known = replace(instance, duration=actual_times(instance, conditions))
    if conditions.blocking:
        answer = solve_blocking(known, conditions.buffers, time_limit, seed, workers)
    else:
        answer = solve_job_shop(known, time_limit, seed, workers)
    if answer.schedule is None:
        return answer
    return replace(answer, schedule=Schedule(instance, answer.schedule.entries, conditions.as_dict()))
