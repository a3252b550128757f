"""Named trainings of the flexible job shop."""

from .preset import Preset

_FLEXIBLE_RULES = (
    *(f"{job}/{machine}" for job in ("fifo", "mopnr", "mwkr") for machine in ("eft", "spt", "free")),
    "spt", "eft", "tail-excess", "tail-excess-active", "random",
)  # fmt: skip


def _flexible(doc: str, stages: str, timesteps: int, **more) -> Preset:
    # It begins near the rule tail-excess, which costs nothing and is as good as what is published.
    prior = {"start_delay": -12.0, "excess": -15.0, "tail_lead": 6.0}
    arguments = dict(
        doc=doc, stages=tuple(stages.split()), timesteps=timesteps, rules=_FLEXIBLE_RULES, exact=("cp-sat", 10.0),
        options={"construction": "active"}, network={"width": 32, "hidden": 32, "prior": prior},
        ppo={"n_epochs": 3, "entropy": 0.0},
    )  # fmt: skip
    return Preset(**(arguments | more))


FLEXIBLE = {
    "smoke": _flexible(
        "a few seconds, to see that everything works", "sd1-4x3 sd2-3x4", 2000, groups=4, group=4, samples=4,
        held_out={"sd1-4x3": ["sd1-4x3:0-9"]}, watched=["sd1-4x3:0-9"], exact=("cp-sat", 5.0),
        network={"width": 8, "heads": 2, "layers": 1},
    ),
    "fjsp-10x5": _flexible(
        "10 jobs on 5 machines, times alike (SD1) and unlike (SD2)", "sd1-10x5 sd2-10x5", 500_000, groups=8,
        exact=("cp-sat", 2.0),  # to prove these takes seconds to minutes each
        held_out={"sd1-10x5": ["sd1-10x5:0-99"], "sd2-10x5": ["sd2-10x5:0-99"]},
        watched=["sd1-10x5:100-109", "sd2-10x5:100-109"],
    ),
}  # fmt: skip
