"""Classes: VMs that need not be told apart, on nodes that need not be told apart.

Two nodes are of one class, have one key, if they have the same free cores modulo a slot, are as hard to complete, and
either both or neither have been worked on. Where 64-core slots count as well, it is their free cores themselves, and
whether the other node of the host has room for its half. Hosts, the places of double VMs, have the unordered pair of
the residues of their nodes. A class of VMs has a flavor and the key of where they are.
"""

import warp as wp

from .simulator_state import HALF, HOSTS_FROM, NOWHERE, PACK, SLOT, State


@wp.func
def node_key(s: State, i: int, n: int):
    """Class of node n as a place of single VMs, below NODE_KEYS."""
    free = s.free_cores[i, n]
    result = (free % SLOT) * 12 + s.need[i, n] * 2 + s.touched[i, n]
    if s.weight_64 > 0 or s.task == PACK:
        other = n + 1 - 2 * (n % 2)
        result = wp.min(free, 63) * 4 + int(s.free_cores[i, other] >= HALF) * 2 + s.touched[i, n]
    return result


@wp.func
def host_key(s: State, i: int, h: int):
    """Class of host h as a place of double VMs, from HOSTS_FROM to below NOWHERE."""
    one = s.free_cores[i, 2 * h]
    other = s.free_cores[i, 2 * h + 1]
    result = int(0)
    if s.weight_64 > 0 or s.task == PACK:
        one = wp.min(one // 2, 31)
        other = wp.min(other // 2, 31)
        result = wp.min(one, other) * 32 + wp.max(one, other)
    else:
        one = one % SLOT
        other = other % SLOT
        touched = wp.max(s.touched[i, 2 * h], s.touched[i, 2 * h + 1])
        result = (wp.min(one, other) * SLOT + wp.max(one, other)) * 2 + touched
    return HOSTS_FROM + result


@wp.func
def key_of(s: State, i: int, v: int, n: int):
    """Key of node n for VM v, as of the last survey."""
    result = int(NOWHERE)
    if n >= 0:
        if s.doubled[s.instance[i], v] == 1:
            result = s.key_of_host[i, n // 2]
        else:
            result = s.key_of_node[i, n]
    return result


@wp.func
def is_useful(s: State, i: int, v: int):
    """Whether moving VM v can free anything at all where only FR-16 counts: whole slots cannot."""
    result = s.need_cores[s.instance[i], v] % SLOT != 0
    return result or s.weight_16 < 100 or s.task == PACK


@wp.func
def visit(s: State, i: int, key: int):
    """Make sure that what is kept by this key is of this survey."""
    if s.mark[i, key] != s.stamp[i]:
        s.mark[i, key] = s.stamp[i]
        s.first_class[i, key] = -1
        s.first_node[i, key] = -1
        s.key_row[i, key] = -1


@wp.func
def list_place(s: State, i: int, key: int, n: int):
    """List node n, or the host it is the first node of, as a place of this key; called from the last to the first."""
    visit(s, i, key)
    row = s.key_row[i, key]
    if row < 0:
        row = s.key_count[i]
        if row < s.key_list.shape[1]:
            s.key_list[i, row] = key
            s.key_size[i, row] = 0
            s.key_row[i, key] = row
            s.key_count[i] = row + 1
            s.key_level[i, row] = s.free_cores[i, n] % SLOT
            if key >= HOSTS_FROM:
                s.key_level[i, row] = 32 + wp.min(s.free_cores[i, n] % SLOT, s.free_cores[i, n + 1] % SLOT)
    if key >= HOSTS_FROM:
        s.next_host[i, n] = s.first_node[i, key]
    else:
        s.next_node[i, n] = s.first_node[i, key]
    s.first_node[i, key] = n
    if row < s.key_list.shape[1]:
        s.key_size[i, row] = s.key_size[i, row] + 1


@wp.func
def list_class(s: State, i: int, key: int, flavor: int, n: int, count: int):
    """Count so many VMs of a flavor on node n to their class; called from the last node to the first."""
    visit(s, i, key)
    c = int(s.first_class[i, key])
    while c >= 0 and s.class_flavor[i, wp.max(c, 0)] != flavor:
        c = s.class_next[i, c]
    if c < 0 and s.class_count[i] < s.class_vm.shape[1]:
        c = s.class_count[i]
        s.class_flavor[i, c] = flavor
        s.class_key[i, c] = key
        s.class_size[i, c] = 0
        s.class_next[i, c] = s.first_class[i, key]
        s.first_class[i, key] = c
        s.class_count[i] = c + 1
    if c >= 0:
        s.class_size[i, c] = s.class_size[i, c] + count
        s.class_vm[i, c] = n  # the node, until the survey is complete


@wp.func
def refresh_keys(s: State, i: int):
    """Find the keys of the hosts anew on which something has changed."""
    k = int(0)
    while k < s.changed_count[i]:
        h = s.changed[i, k]
        s.key_of_node[i, 2 * h] = node_key(s, i, 2 * h)
        s.key_of_node[i, 2 * h + 1] = node_key(s, i, 2 * h + 1)
        s.key_of_host[i, h] = host_key(s, i, h)
        k += 1
    s.changed_count[i] = 0


@wp.func
def list_sources(s: State, i: int, n: int):
    """Count the movable VMs of node n to their classes."""
    b = s.instance[i]
    if s.node_vm[i, n] >= 0:
        key = s.key_of_node[i, n]
        f = int(0)
        flavors = s.flavors[b]
        while f < flavors:
            count = s.flavor_count[i, n, f]
            if count > 0:
                v = s.flavor_vm[b, f]
                if is_useful(s, i, v):
                    if s.doubled[b, v] == 1:
                        list_class(s, i, s.key_of_host[i, n // 2], f, n, count)
                    else:
                        list_class(s, i, key, f, n, count)
            f += 1


@wp.func
def first_vm(s: State, i: int, n: int, flavor: int):
    """The first movable VM of a flavor at node n."""
    b = s.instance[i]
    v = int(s.node_vm[i, n])
    while s.flavor[b, v] != flavor:
        v = s.vm_next[i, v]
    return v


@wp.func
def list_unplaced(s: State, i: int):
    """Pack: count the VMs that are not placed to their classes."""
    b = s.instance[i]
    v = s.vms[b] - 1
    while v >= 0:
        if s.place[i, v] < 0:
            list_class(s, i, NOWHERE, s.flavor[b, v], v, 1)
        v -= 1


@wp.func
def survey(s: State, i: int):
    """Find the classes of VMs and of places as things stand."""
    b = s.instance[i]
    s.stamp[i] = s.stamp[i] + 1
    s.key_count[i] = 0
    s.class_count[i] = 0
    refresh_keys(s, i)
    h = s.hosts[b] - 1
    while h >= 0:
        if s.constraints == 0 or s.drained[b, h] == 0:
            list_place(s, i, s.key_of_host[i, h], 2 * h)
            list_place(s, i, s.key_of_node[i, 2 * h + 1], 2 * h + 1)
            list_place(s, i, s.key_of_node[i, 2 * h], 2 * h)
        list_sources(s, i, 2 * h + 1)
        list_sources(s, i, 2 * h)
        h -= 1
    c = int(0)
    while c < s.class_count[i]:
        s.class_vm[i, c] = first_vm(s, i, s.class_vm[i, c], s.class_flavor[i, c])
        c += 1
    if s.task == PACK:
        list_unplaced(s, i)
