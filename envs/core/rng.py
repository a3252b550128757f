"""Counter-based random numbers: a pure function of what is drawn, not of when.

A number is keyed by (seed, environment, episode, draw), so every policy that meets the same seed meets
the same world, and the plain-Python twin, the CPU and the GPU produce the same bits. The mixing
function is the 32-bit finaliser of Chris Wellons' hash prospector ("lowbias32", 2018).
"""

from typing import Any

import warp as wp


@wp.func
def mix(x: wp.uint32):
    """Scramble 32 bits, a bijection."""
    x = x ^ (x >> wp.uint32(16))
    x = x * wp.uint32(0x7FEB352D)
    x = x ^ (x >> wp.uint32(15))
    x = x * wp.uint32(-2073254261)  # 0x846CA68B, written as the int32 it is cast from
    x = x ^ (x >> wp.uint32(16))
    return x


@wp.func
def random_bits(seed: int, environment: int, episode: int, draw: int):
    """31 uniform bits as a non-negative int32.

    Args:
        seed, environment, episode, draw: the key; any int32 each.
    """
    x = mix(wp.uint32(seed) + wp.uint32(-1640531527))
    x = mix(x ^ wp.uint32(environment))
    x = mix(x + wp.uint32(episode))
    x = mix(x ^ wp.uint32(draw))
    return int(x >> wp.uint32(1))


@wp.func
def random_below(bound: int, seed: int, environment: int, episode: int, draw: int):
    """A number in 0 .. bound - 1; the bias is below bound / 2**31."""
    return random_bits(seed, environment, episode, draw) % bound


@wp.func
def instance_of(seed: int, group: int, groups: int, episode: int, instances: int, shuffled: int):
    """Which instance of the bank a group of environments plays in an episode.

    In order, the groups walk through the bank side by side; shuffled, each episode draws one at random.

    Args:
        group: number of the group, 0 .. groups - 1; environments of one group share their instances.
        episode: how many episodes the environment has finished.
        instances: size of the bank.
        shuffled: 1 to draw, 0 to walk in order.
    """
    if shuffled == 1:
        return random_below(instances, seed, group, episode, 0)
    walked = wp.int64(episode % instances) * wp.int64(groups % instances) + wp.int64(group)
    return int(walked % wp.int64(instances))


@wp.func
def next_instance(s: Any, i: int):
    """Bank index of the episode that environment i of a simulator's state begins."""
    groups = (s.environments + s.group - 1) // s.group
    return instance_of(s.seed[0], i // s.group, groups, s.episode[i], s.instances, s.shuffled)
