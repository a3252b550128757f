"""Steps per second of JSSEnv (Tassel, Gebser and Schekotihin, 2021): one environment, one job or a wait a step."""

import numpy as np
from JSSEnv.envs.jss_env import JssEnv
from measure import announce, arguments, measure


def prepare(file):
    """Make the environment on an instance file, one call is one episode; see ``measure.measure``."""
    env = JssEnv({"instance_path": file})
    rng = np.random.default_rng(0)

    def advance():
        mask, steps, operations, done = env.reset()["action_mask"], 0, 0, False
        while not done:
            legal = np.flatnonzero(mask)
            action = int(legal[rng.integers(len(legal))])
            observation, _, done, _, _ = env.step(action)
            mask = observation["action_mask"]
            steps += 1
            operations += action != env.jobs  # the last action waits, it starts nothing
        return steps, operations

    return advance


def main() -> None:
    options = arguments(__doc__)
    announce("jssenv", ["JSSEnv", "gymnasium", "numpy"])
    for name, file in options.instances:
        observation = "7 features of each job, mask"
        measure("jssenv", "single", name, 1, observation, lambda file=file: prepare(file), options.seconds)


if __name__ == "__main__":
    main()
