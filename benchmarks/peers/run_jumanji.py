"""Steps per second of jumanji's JobShop, compiled, a batch of copies of one instance; one step is one unit of time."""

import jax
import jax.numpy as jnp
from jumanji.environments import JobShop
from jumanji.environments.packing.job_shop.generator import Generator
from jumanji.environments.packing.job_shop.types import State
from measure import announce, arguments, measure, read_instance

BATCHES = (1, 64, 256, 1024)
OBSERVATION = "whole instance, running jobs, mask"


class FixedInstance(Generator):
    """A generator that always gives the instance of a file; the library's own draws random ones only."""

    def __init__(self, file):
        machine, duration = read_instance(file)
        self.machine, self.duration = jnp.array(machine, jnp.int32), jnp.array(duration, jnp.int32)
        super().__init__(len(machine), 1 + max(map(max, machine)), len(machine[0]), max(map(max, duration)))

    def __call__(self, key):
        return State(
            ops_machine_ids=self.machine,
            ops_durations=self.duration,
            ops_mask=jnp.ones(self.machine.shape, bool),
            machines_job_ids=jnp.full(self.num_machines, self.num_jobs, jnp.int32),
            machines_remaining_times=jnp.zeros(self.num_machines, jnp.int32),
            action_mask=None,
            step_count=jnp.array(0, jnp.int32),
            scheduled_times=jnp.full(self.machine.shape, -1, jnp.int32),
            key=key,
        )


def random_action(key, mask):
    """A random waiting job for each machine, none only where no job waits for it.

    Leaving a machine idle on purpose would make episodes longer, and ends them when all machines do.

    Args:
        key: random key.
        mask: (machines, jobs + 1) bool, the last column is the no-op.

    Returns:
        (machines,) int32.
    """
    rank = jnp.cumsum(mask[:, :-1], axis=1)
    drawn = jax.random.uniform(key, (mask.shape[0],)) * rank[:, -1]
    job = jnp.argmax(rank > drawn[:, None], axis=1)
    return jnp.where(rank[:, -1] > 0, job, mask.shape[1] - 1).astype(jnp.int32)


def prepare(file, batch):
    """Make and compile the environment; see ``measure.measure`` for what is returned.

    The copies begin at moments spread evenly over one episode. If all began together, a large batch would be
    measured on the first part of an episode only, which has more operations a step than the rest.
    """
    env = JobShop(generator=FixedInstance(file))
    first, _ = env.reset(jax.random.PRNGKey(0))
    length = max(16, 4096 // batch)  # steps in one compiled call, so that a call takes a fraction of a second

    def play(state, key):
        action = random_action(key, state.action_mask)
        after, timestep = env.step(state, action)
        # Putting the first state back is less work than the library's wrapper, which resets anew.
        after = jax.tree.map(lambda old, new: jnp.where(timestep.last(), old, new), first, after)
        return after, (jnp.sum(action != env.no_op_idx), timestep.reward)

    def remember(carry, key):
        state, over = carry
        after, timestep = env.step(state, random_action(key, state.action_mask))
        return (after, over | timestep.last()), (state, over)

    def scan_step(carry, _):
        states, key = carry
        key, draw = jax.random.split(key)
        states, (operations, reward) = jax.vmap(play)(states, jax.random.split(draw, batch))
        return (states, key), (operations.sum(), reward.sum())

    @jax.jit
    def run(carry):
        carry, (operations, reward) = jax.lax.scan(scan_step, carry, length=length)
        return carry, operations.sum(), reward.sum()

    keys = jax.random.split(jax.random.PRNGKey(2), int(env.generator.duration.sum()))  # no episode is longer
    _, (course, over) = jax.jit(lambda: jax.lax.scan(remember, (first, jnp.array(False)), keys))()
    moments = jnp.arange(batch) * int((~over).sum()) // batch
    states = jax.tree.map(lambda leaf: leaf[moments], course)
    carry = (states, jax.random.PRNGKey(1))

    def advance():
        nonlocal carry
        carry, operations, _ = run(carry)
        return length * batch, int(operations)

    return advance


def main() -> None:
    options = arguments(__doc__)
    announce("jumanji", ["jumanji", "jax", "jaxlib"])
    for batch in BATCHES:
        for name, file in options.instances:
            made = lambda file=file, batch=batch: prepare(file, batch)  # noqa: E731
            measure("jumanji", "jit, vmap, scan", name, batch, OBSERVATION, made, options.seconds)


if __name__ == "__main__":
    main()
