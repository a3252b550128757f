"""Steps per second of RL4CO's job shop environment, a batch of copies of one instance."""

import torch
from measure import announce, arguments, measure
from rl4co.envs.scheduling.jssp.env import JSSPEnv

BATCHES = (1, 64, 256)


def prepare(file, batch):
    """Make the environment on an instance file; see ``measure.measure`` for what is returned.

    The reader expects machines numbered from 1; numbered from 0, machine 0 becomes the last one, and
    renaming machines changes neither the schedules nor the work.

    A large batch takes seconds a step, so that only a few steps are measured. They are taken from the middle of
    an episode: at its beginning all machines are free and time need not advance, which is less work.
    """
    env = JSSPEnv(generator_params={"file_path": str(file)})
    instance = env.generator(batch_size=[1])
    generator = torch.Generator().manual_seed(0)

    def play(state):
        weights = state["action_mask"].to(torch.float32)
        state["action"] = torch.multinomial(weights, 1, generator=generator).squeeze(1)
        operations = int((state["action"] > 0).sum())  # action 0 waits, it starts nothing
        return env.step(state)["next"], operations

    state = env.reset(instance)
    for _ in range(int((~instance["pad_mask"]).sum()) // 2):
        state, _ = play(state)
    state = torch.cat([state] * batch)
    instance = torch.cat([instance] * batch)

    def advance():
        nonlocal state
        if bool(state["done"].all()):
            state = env.reset(instance)
        state, operations = play(state)
        return batch, operations

    return advance


def main() -> None:
    options = arguments(__doc__)
    torch.set_num_threads(1)
    announce("rl4co", ["rl4co", "torch", "tensordict", "torchrl"])
    for batch in BATCHES:  # the largest last: one that runs out of memory or time then costs no other
        for name, file in options.instances:
            made = lambda file=file, batch=batch: prepare(file, batch)  # noqa: E731
            observation = "dense adjacency of all operations, features"
            with torch.no_grad():
                measure("rl4co", "batch", name, batch, observation, made, options.seconds)


if __name__ == "__main__":
    main()
