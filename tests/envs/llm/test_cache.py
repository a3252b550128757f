"""Entries of the prefix cache: who counts as their user, and which one goes first."""

from dispatchgym.envs.llm.cache import PrefixCache


def evicted(cache: PrefixCache) -> list:
    """Evict all that can be; what went, in order, as the number of blocks each time."""
    found = []
    while True:
        before = cache.blocks
        if not cache.evict():
            return found
        found.append(before - cache.blocks)


def test_nothing_is_there_at_first():
    cache = PrefixCache()
    assert (cache.blocks, cache.pinned, cache.group_blocks(-1), cache.session_blocks(0), cache.group_users(0)) == (
        0,
    ) * 5
    cache.drop_session(3)
    assert not cache.evict()


def test_an_entry_that_a_request_uses_stays():
    cache = PrefixCache()
    cache.make_group(4, 7, 10)
    cache.use_group(4, 12)
    assert (cache.blocks, cache.pinned, cache.group_blocks(4), cache.group_users(4)) == (7, 7, 7, 2)
    cache.leave_group(4, 13)
    assert (cache.pinned, cache.group_users(4)) == (7, 1) and not cache.evict()
    cache.leave_group(4)
    assert (cache.blocks, cache.pinned) == (7, 0)
    cache.use_group(4, 14)
    assert cache.pinned == 7 and not cache.evict()
    cache.leave_group(4)
    assert evicted(cache) == [7] and cache.group_blocks(4) == 0


def test_a_session_holds_the_entry_of_its_group():
    cache = PrefixCache()
    cache.make_group(0, 2, 1)
    cache.keep_session(5, 0, 3, 9)
    cache.leave_group(0, 2)
    assert (cache.blocks, cache.pinned, cache.session_blocks(5)) == (5, 0, 3)
    assert evicted(cache) == [3, 2]  # that of the group was used earlier
    cache.make_group(0, 2, 10)
    for root, time in ((5, 11), (6, 12)):
        cache.keep_session(root, 0, root, time)
    cache.leave_group(0, 3)
    cache.drop_session(5)
    cache.keep_session(7, -1, 9, 13)
    assert evicted(cache) == [6, 2, 9]


def test_a_newer_entry_of_a_session_takes_the_place_of_the_older():
    cache = PrefixCache()
    cache.make_group(0, 2, 1)
    cache.keep_session(5, 0, 3, 4)
    cache.keep_session(5, 0, 8, 6)
    cache.keep_session(1, -1, 1, 5)
    cache.leave_group(0, 7)
    assert cache.blocks == 11 and evicted(cache) == [1, 8, 2] and cache.blocks == 0


def test_the_least_recently_used_goes_first_and_ties_are_settled():
    cache = PrefixCache()
    for group, blocks, time in ((3, 30, 5), (2, 20, 5), (1, 10, 4)):
        cache.make_group(group, blocks, 1)
        cache.leave_group(group, time)
    for root, blocks, time in ((9, 90, 5), (8, 80, 5), (7, 70, 6)):
        cache.keep_session(root, -1, blocks, time)
    assert evicted(cache) == [10, 80, 90, 20, 30, 70]


def test_leaving_without_a_time_keeps_the_last_use():
    cache = PrefixCache()
    cache.make_group(0, 1, 3)
    cache.make_group(1, 2, 4)
    cache.leave_group(1)
    cache.leave_group(0)
    assert evicted(cache) == [1, 2]
    cache.make_group(0, 1, 3)
    cache.use_group(0, 8)
    cache.make_group(1, 2, 4)
    cache.leave_group(0)
    cache.leave_group(0)
    cache.leave_group(1)
    assert evicted(cache) == [2, 1]
