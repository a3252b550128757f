"""Prints what every environment does, as hashes, one JSON line for each id and setting.

``decisions`` covers integers alone (instances, masks, actions, figures and schedules), so it is the same on every
machine; it is kept in traces.json. ``observations`` covers every number that is handed out. A change of dynamics
changes the former: it bumps the environment's version, and traces.json is written anew in the same commit::

    python tests/golden/trace.py write
"""

import hashlib
import json
import runpy
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
EPISODES = 3


def trace(variant) -> dict[str, str]:
    """Play episodes on catalogue and on generated instances with a fixed, seedless choice of actions."""
    decisions, observations = hashlib.sha256(), hashlib.sha256()
    for arguments in ({"instance": variant.instances}, {}):
        env = variant.make(**arguments)
        for seed in range(EPISODES):
            observation, info = env.reset(seed=seed)
            decisions.update(env.instance.digest.encode())
            done, step = False, 0
            while not done:
                legal = np.flatnonzero(info["action_mask"])
                action = int(legal[step * 7 % len(legal)])
                figures = [action, *(info[key] for key in env.model.outcome), *legal]
                decisions.update(np.array(figures, "<i8").tobytes())
                for key in observation:
                    observations.update(observation[key].tobytes())
                observation, reward, done, _, info = env.step(action)
                observations.update(np.float64(reward).tobytes())
                step += 1
            decisions.update(env.schedule().entries.astype("<i8").tobytes())
    return {"decisions": decisions.hexdigest()[:16], "observations": observations.hexdigest()[:16]}


def traces() -> dict[str, dict[str, str]]:
    """The traces of every variant of the contract."""
    variants = runpy.run_path(str(FOLDER.parent / "contract" / "conftest.py"))["variants"]()
    return {str(variant): trace(variant) for variant in variants}


def main() -> None:
    found = traces()
    if sys.argv[1:] == ["write"]:
        kept = {name: hashes["decisions"] for name, hashes in found.items()}
        (FOLDER / "traces.json").write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
