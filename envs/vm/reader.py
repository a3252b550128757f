"""The JSON format of VM instances, read without trusting a byte of it and written so that it is read back.

An example of two hosts::

    {"family": "vm", "name": "two hosts",
     "hosts": [{"name": "a", "cores": [44, 44], "memory": [184388, 184388], "rack": 0, "drained": false},
               {"cores": [44, 44], "memory": [184388, 184388]}],
     "vms": [{"name": "x", "cores": 8, "memory": 16384, "numas": 1, "host": 0, "numa": 1, "movable": true,
              "priority": 0, "arrival": 0, "departure": null},
             {"cores": 64, "memory": 131072, "numas": 2, "host": 1, "numa": 0}],
     "groups": [{"scope": "host", "vms": [0, 1]}], "horizon": 0, "world": 0}

``cores``, ``memory`` (MB) and ``numas`` of a virtual machine (VM) are in all; ``host`` and ``numa`` say where it
is (``numa`` is 0 where it takes from both NUMA nodes) and are null, or left out, where it is not placed.
``departure`` is null where it stays. Times are in ms. ``vms`` of a group are places in the list. Only
``family``, ``hosts`` and ``vms`` and in these what the second entries above have must be there.

Mappings of VMR2L are recognised by their ``cluster_list``, see ``vmr2l``.
"""

import json

import numpy as np

from ..core.json_walk import Walker, load, shown
from . import vmr2l
from .fields import (
    MAX_CORES,
    MAX_HOSTS,
    MAX_MEMORY,
    MAX_PAIRS,
    MAX_TIME,
    MAX_VMS,
    MAX_WHOLE,
    NEVER,
    SCOPES,
)

TOP = ("family", "name", "hosts", "vms", "groups", "horizon", "world")
HOST = ("name", "cores", "memory", "rack", "drained")
VM = ("name", "cores", "memory", "numas", "host", "numa", "movable", "priority", "arrival", "departure")
GROUP = ("scope", "vms")


def read_fields(text: str, where: str) -> dict:
    """The fields of an instance from JSON text, as keyword arguments of ``VMInstance``.

    Args:
        text: the whole text, in the format above or that of VMR2L.
        where: a path or description of the source, for messages.

    Returns:
        What the text holds; its name only if it has one.

    Raises:
        InstanceError: on anything else than the formats, naming the field. What one field says about another
            (such as whether the VMs of a host fit) is left to ``VMInstance``.
    """
    data = load(text, where)
    if "cluster_list" in data:
        return vmr2l.mapping_fields(data, where)
    return _instance(Walker(where), data)


def _instance(walker: Walker, data: dict) -> dict:
    walker.record("", data, TOP, ("name", "groups", "horizon", "world"))
    if data["family"] != "vm":
        walker.fail("family", f'expected "vm", found {shown(data["family"])}')
    hosts = walker.rows("hosts", data["hosts"], 1, MAX_HOSTS)
    vms = walker.rows("vms", data["vms"], 1, MAX_VMS)
    found = _hosts(walker, hosts) | _vms(walker, vms, len(hosts))
    found["groups"] = _groups(walker, data.get("groups", []), len(vms))
    for what, most in (("horizon", MAX_TIME), ("world", MAX_WHOLE)):
        found[what] = walker.whole(what, data.get(what, 0), 0, most)
    return found | ({"name": walker.word("name", data["name"])} if "name" in data else {})


def _hosts(walker: Walker, hosts: list) -> dict:
    columns: dict[str, list] = {"node_cores": [], "node_memory": [], "rack": [], "drained": []}
    for index, host in enumerate(hosts):
        path = f"hosts[{index}]"
        walker.record(path, host, HOST, ("name", "rack", "drained"))
        for what, most in (("cores", MAX_CORES), ("memory", MAX_MEMORY)):
            pair = walker.rows(f"{path}.{what}", host[what], 2, 2)
            columns[f"node_{what}"].append(
                [walker.whole(f"{path}.{what}[{numa}]", value, 0, most) for numa, value in enumerate(pair)]
            )
        columns["rack"].append(walker.whole(f"{path}.rack", host.get("rack", 0), 0, MAX_HOSTS - 1))
        columns["drained"].append(walker.flag(f"{path}.drained", host.get("drained", False)))
    found = {what: np.array(values) for what, values in columns.items()}
    return found | {"host_names": _names(walker, "hosts", hosts, "host")}


def _vms(walker: Walker, vms: list, hosts: int) -> dict:
    columns: dict[str, list] = {what: [] for what in VM if what not in ("name", "host", "numa")} | {"node": []}
    for index, vm in enumerate(vms):
        path = f"vms[{index}]"
        walker.record(path, vm, VM, tuple(what for what in VM if what not in ("cores", "memory", "numas")))
        columns["cores"].append(walker.whole(f"{path}.cores", vm["cores"], 1, 2 * MAX_CORES))
        columns["memory"].append(walker.whole(f"{path}.memory", vm["memory"], 0, MAX_MEMORY))
        columns["numas"].append(walker.whole(f"{path}.numas", vm["numas"], 1, 2))
        columns["node"].append(_node(walker, path, vm, hosts))
        columns["movable"].append(walker.flag(f"{path}.movable", vm.get("movable", True)))
        columns["priority"].append(walker.whole(f"{path}.priority", vm.get("priority", 0), 0, MAX_WHOLE))
        columns["arrival"].append(walker.whole(f"{path}.arrival", vm.get("arrival", 0), 0, MAX_TIME))
        departure = vm.get("departure")
        if departure is not None:
            walker.whole(f"{path}.departure", departure, 1, MAX_WHOLE - 1, " or null")
        columns["departure"].append(NEVER if departure is None else departure)
    found = {what: np.array(values) for what, values in columns.items()}
    return found | {"vm_names": _names(walker, "vms", vms, "vm")}


def _node(walker: Walker, path: str, vm: dict, hosts: int) -> int:
    host, numa = vm.get("host"), vm.get("numa")
    if host is None:
        if numa is not None:
            walker.fail(f"{path}.numa", f"expected null as host is, found {shown(numa)}")
        return -1
    walker.whole(f"{path}.host", host, 0, hosts - 1, " or null")
    return 2 * host + walker.whole(f"{path}.numa", numa, 0, 2 - vm["numas"])


def _names(walker: Walker, path: str, rows: list, otherwise: str) -> tuple[str, ...]:
    """Names of hosts or VMs; where some have one, the others are called by their number."""
    if not any("name" in row for row in rows):
        return ()
    return tuple(
        walker.word(f"{path}[{index}].name", row["name"]) if "name" in row else f"{otherwise}{index}"
        for index, row in enumerate(rows)
    )


def _groups(walker: Walker, data, vms: int) -> tuple:
    found, pairs = [], 0
    for index, group in enumerate(walker.rows("groups", data, 0, MAX_PAIRS // 4)):
        path = f"groups[{index}]"
        walker.record(path, group, GROUP)
        if group["scope"] not in SCOPES:
            walker.fail(f"{path}.scope", f"expected {' or '.join(SCOPES)}, found {shown(group['scope'])}")
        members = walker.rows(f"{path}.vms", group["vms"], 2, vms)
        pairs += len(members) ** 2
        if pairs > MAX_PAIRS:
            walker.fail(path, f"members x members of all groups is more than {MAX_PAIRS}")
        for place, vm in enumerate(members):
            walker.whole(f"{path}.vms[{place}]", vm, 0, vms - 1)
        found.append((group["scope"], tuple(members)))
    return tuple(found)


def write(instance) -> str:
    """The JSON of an instance, a line for each host, virtual machine and group.

    Args:
        instance: a ``VMInstance``.
    """
    head = {"family": "vm", "name": instance.name}
    tail = {what: getattr(instance, what) for what in ("horizon", "world") if getattr(instance, what)}
    groups = [{"scope": scope, "vms": list(members)} for scope, members in instance.groups]
    lists = {"hosts": _host_rows(instance), "vms": _vm_rows(instance)} | ({"groups": groups} if groups else {})
    parts = [f'"{what}": {json.dumps(value)}' for what, value in head.items()]
    for what, rows in lists.items():
        parts.append(f'"{what}": [\n' + ",\n".join(map(json.dumps, rows)) + "\n]")
    parts += [f'"{what}": {value}' for what, value in tail.items()]
    return "{" + ", ".join(parts) + "}\n"


def _host_rows(instance) -> list[dict]:
    columns = [getattr(instance, what).tolist() for what in ("node_cores", "node_memory", "rack", "drained")]
    rows = []
    for index, (cores, memory, rack, drained) in enumerate(zip(*columns, strict=True)):
        named = {"name": instance.host_names[index]} if instance.host_names else {}
        extra = ({"rack": rack} if rack else {}) | ({"drained": True} if drained else {})
        rows.append(named | {"cores": cores, "memory": memory} | extra)
    return rows


def _vm_rows(instance) -> list[dict]:
    columns = {what: getattr(instance, what).tolist() for what in VM if what not in ("name", "host", "numa")}
    defaults = {"movable": True, "priority": 0, "arrival": 0, "departure": NEVER}
    rows = []
    for index, node in enumerate(instance.node.tolist()):
        row = {"name": instance.vm_names[index]} if instance.vm_names else {}
        row |= {what: columns[what][index] for what in ("cores", "memory", "numas")}
        row |= {"host": node // 2, "numa": node % 2} if node >= 0 else {"host": None, "numa": None}
        rows.append(row | {key: columns[key][index] for key, usual in defaults.items() if columns[key][index] != usual})
    return rows
