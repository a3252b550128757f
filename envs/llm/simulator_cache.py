"""The prefix cache of a server: entries of groups and of sessions, in whole blocks, evicted least recently used first.

A session's entry holds what its last request left beyond the prefix of its group, so it is worth nothing without the
entry of the group, which therefore outlives it.
"""

import warp as wp

from .simulator_state import NEVER, State


@wp.func
def shared_blocks(s: State, i: int, r: int, q: int):
    """Whole blocks of the prefix that request q shares with its group."""
    b = s.instance[i]
    if s.prefix_cache == 0 or s.group_of[b, q] < 0:
        return 0
    return s.shared_tokens[b, q] // s.block_size[b, r]


@wp.func
def group_hit(s: State, i: int, r: int, q: int):
    """Blocks of the cached prefix of q's group."""
    b = s.instance[i]
    if shared_blocks(s, i, r, q) == 0 or s.kept[i, q] > 0:
        return 0
    return s.group_blocks[i, r, s.group_of[b, q]]


@wp.func
def session_hit(s: State, i: int, r: int, q: int):
    """Blocks that q could take over from its session, beyond the prefix of its group."""
    b = s.instance[i]
    parent = s.parent[b, q]
    if s.prefix_cache == 0 or parent < 0 or s.kept[i, q] > 0:
        return 0
    of_group = group_hit(s, i, r, q)
    if of_group == 0 and shared_blocks(s, i, r, q) > 0:
        return 0
    said = (s.prompt_tokens[b, parent] + s.output_tokens[b, parent]) // s.block_size[b, r]
    return wp.max(wp.min(s.session_blocks[i, r, s.session[b, q]], said - of_group), 0)


@wp.func
def forget_session(s: State, i: int, r: int, session: int):
    """Remove the entry of a session; its blocks are free."""
    b = s.instance[i]
    held = s.session_blocks[i, r, session]
    if held > 0:
        s.session_blocks[i, r, session] = 0
        s.cached[i, r] = s.cached[i, r] - held
        if shared_blocks(s, i, r, session) > 0:
            g = s.group_of[b, session]
            s.group_sessions[i, r, g] = s.group_sessions[i, r, g] - 1
        count = s.session_count[i, r]
        for k in range(count):
            if s.session_list[i, r, k] == session:
                s.session_list[i, r, k] = s.session_list[i, r, count - 1]
                break
        s.session_count[i, r] = count - 1


@wp.func
def evict_one(s: State, i: int, r: int):
    """Evict the entry that was used least recently of those that nobody uses; 0 if there is none."""
    oldest = NEVER
    session = int(-1)
    for k in range(s.session_count[i, r]):
        entry = s.session_list[i, r, k]
        used = s.session_used[i, r, entry]
        if used < oldest or (used == oldest and entry < session):
            oldest = used
            session = entry
    group = int(-1)
    for g in range(s.group_blocks.shape[2]):
        if s.group_blocks[i, r, g] > 0 and s.group_running[i, r, g] + s.group_sessions[i, r, g] == 0:
            if s.group_used[i, r, g] < oldest:
                oldest = s.group_used[i, r, g]
                group = g
    if group >= 0:
        s.cached[i, r] = s.cached[i, r] - s.group_blocks[i, r, group]
        s.group_blocks[i, r, group] = 0
        return 1
    if session >= 0:
        forget_session(s, i, r, session)
        return 1
    return 0


@wp.func
def use_group(s: State, i: int, r: int, q: int):
    """A running request begins to use the entry of its group."""
    g = s.group_of[s.instance[i], q]
    if s.group_running[i, r, g] == 0:
        s.pinned[i, r] = s.pinned[i, r] + s.group_blocks[i, r, g]
    s.group_running[i, r, g] = s.group_running[i, r, g] + 1
    s.group_used[i, r, g] = s.now[i]


@wp.func
def release_group(s: State, i: int, r: int, q: int):
    """It stops using it."""
    g = s.group_of[s.instance[i], q]
    s.group_running[i, r, g] = s.group_running[i, r, g] - 1
    if s.group_running[i, r, g] == 0:
        s.pinned[i, r] = s.pinned[i, r] - s.group_blocks[i, r, g]


@wp.func
def share_prefix(s: State, i: int, r: int, k: int):
    """The prefill of slot k is complete: where the prefix of its group is not cached yet, its own copy becomes that."""
    q = s.slot_request[i, r, k]
    whole = shared_blocks(s, i, r, q)
    if whole > 0 and s.slot_uses[i, r, k] == 0:
        g = s.group_of[s.instance[i], q]
        if s.group_blocks[i, r, g] == 0:
            s.group_blocks[i, r, g] = whole
            s.slot_blocks[i, r, k] = s.slot_blocks[i, r, k] - whole
            s.owned[i, r] = s.owned[i, r] - whole
            s.cached[i, r] = s.cached[i, r] + whole
            s.slot_uses[i, r, k] = 1
            use_group(s, i, r, q)


@wp.func
def keep_session(s: State, i: int, r: int, q: int, tokens: int):
    """Request q is finished with so many KV tokens: keep them for the one that follows. Its blocks are free already."""
    b = s.instance[i]
    if s.prefix_cache == 1 and s.follow_up[b, q] >= 0:
        session = s.session[b, q]
        forget_session(s, i, r, session)
        of_group = int(0)
        whole = shared_blocks(s, i, r, q)
        if whole > 0:
            of_group = s.group_blocks[i, r, s.group_of[b, q]]
        rest = tokens // s.block_size[b, r] - of_group
        if rest > 0 and (of_group > 0 or whole == 0):
            s.session_blocks[i, r, session] = rest
            s.session_used[i, r, session] = s.now[i]
            s.session_list[i, r, s.session_count[i, r]] = session
            s.session_count[i, r] = s.session_count[i, r] + 1
            s.cached[i, r] = s.cached[i, r] + rest
            if of_group > 0:
                g = s.group_of[b, q]
                s.group_sessions[i, r, g] = s.group_sessions[i, r, g] + 1
