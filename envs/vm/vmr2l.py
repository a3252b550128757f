"""Mappings of VMR2L (Ding et al. 2025): the JSON of a ``cluster_list``, read as one instance.

Its clusters are put one after another. Hosts whose status is not ``ACTIVE`` are left out with the virtual
machines (VMs) on them. Deployment sets become groups, ``allow_migration`` says whether a VM is movable, and the
racks of each cluster are numbered in the order they are met. Keys that are not needed are not looked at.
"""

import numpy as np

from ..core.json_walk import MAX_LISTS, Walker, shown
from .fields import MAX_CORES, MAX_HOSTS, MAX_MEMORY, MAX_VMS, SCOPES


def mapping_fields(data: dict, where: str) -> dict:
    """The fields of an instance from a decoded mapping, as keyword arguments of ``VMInstance``.

    Args:
        data: the JSON object, with a ``cluster_list``.
        where: a path or description of the source, for messages.

    Raises:
        InstanceError: where something needed is missing or is not what it should be, naming it.
    """
    return _Mapping(where).fields(data)


class _Mapping(Walker):
    """One walk over a mapping; columns grow host by host and VM by VM."""

    def __init__(self, where: str):
        super().__init__(where)
        self.host_index: dict[str, int] = {}  # of active hosts
        self.inactive: set[str] = set()
        self.vm_index: dict[str, int] = {}
        self.left_out: set[str] = set()
        self.racks: dict[tuple[int, object], int] = {}
        self.columns: dict[str, list] = {
            what: [] for what in ("node_cores", "node_memory", "rack", "cores", "memory", "numas", "node", "movable")
        }

    def fields(self, data: dict) -> dict:
        clusters = self.rows("cluster_list", data["cluster_list"], 1, MAX_HOSTS)
        paths = [f"cluster_list[{index}]" for index in range(len(clusters))]
        for index, (path, cluster) in enumerate(zip(paths, clusters, strict=True)):
            hosts = self.rows(f"{path}.host_info", self.part(path, cluster, "host_info"), 0, MAX_HOSTS)
            for place, host in enumerate(hosts):
                self.host(f"{path}.host_info[{place}]", host, index)
        for path, cluster in zip(paths, clusters, strict=True):
            vms = self.rows(f"{path}.vm_instance", self.part(path, cluster, "vm_instance"), 0, MAX_VMS)
            for place, vm in enumerate(vms):
                self.vm(f"{path}.vm_instance[{place}]", vm)
        for what, index, most in (("hosts", self.host_index, MAX_HOSTS), ("VMs", self.vm_index, MAX_VMS)):
            if not 1 <= len(index) <= most:
                self.fail("cluster_list", f"expected 1 to {most} {what} that are active, found {len(index)}")
        # each cluster lists the sets of all clusters, so a set is met several times
        groups: dict[tuple, None] = {}
        for path, cluster in zip(paths, clusters, strict=True):
            groups |= dict.fromkeys(self.sets(path, cluster))
        found = {what: np.array(values) for what, values in self.columns.items()}
        names = {"host_names": tuple(self.host_index), "vm_names": tuple(self.vm_index)}
        return found | names | {"groups": tuple(groups)}

    def host(self, path: str, host, cluster: int) -> None:
        name = self.word(f"{path}.node_id", self.part(path, host, "node_id"))
        if name in self.host_index or name in self.inactive:
            self.fail(f"{path}.node_id", f"{shown(name)} stands twice")
        if self.word(f"{path}.status", self.part(path, host, "status")) != "ACTIVE":
            self.inactive.add(name)
            return
        self.host_index[name] = len(self.host_index)
        cores, memory = [0, 0], [0, 0]
        for numa, place, node in self.sides(f"{path}.numa", self.part(path, host, "numa"), 2):
            cores[numa] = self.amount(f"{place}.total_cpu", self.part(place, node, "total_cpu"), 0, MAX_CORES)
            size = self.part(place, node, "memory_huge_total_mb")
            memory[numa] = self.amount(f"{place}.memory_huge_total_mb", size, 0, MAX_MEMORY)
        rack = host.get("rack_id", 0)
        if type(rack) not in (int, str):
            self.fail(f"{path}.rack_id", f"expected a number or text, found {shown(rack)}")
        self.columns["node_cores"].append(cores)
        self.columns["node_memory"].append(memory)
        self.columns["rack"].append(self.racks.setdefault((cluster, rack), len(self.racks)))

    def vm(self, path: str, vm) -> None:
        name = self.word(f"{path}.instance_id", self.part(path, vm, "instance_id"))
        if name in self.vm_index or name in self.left_out:
            self.fail(f"{path}.instance_id", f"{shown(name)} stands twice")
        host = self.word(f"{path}.host_id", self.part(path, vm, "host_id"))
        if host in self.inactive:
            self.left_out.add(name)
            return
        if host not in self.host_index:
            self.fail(f"{path}.host_id", f"there is no host {shown(host)}")
        self.vm_index[name] = len(self.vm_index)
        taken = []
        for numa, place, node in self.sides(f"{path}.numa", self.part(path, vm, "numa"), 1):
            cores = self.amount(f"{place}.cpu", self.part(place, node, "cpu"), 1, MAX_CORES)
            memory = self.amount(f"{place}.mem_mb", self.part(place, node, "mem_mb"), 0, MAX_MEMORY // 2)
            taken.append((numa, cores, memory))
        if len(taken) == 2 and taken[0][1:] != taken[1][1:]:
            self.fail(f"{path}.numa", "expected as much from both NUMA nodes")
        movable = vm.get("allow_migration", True)
        if type(movable) not in (bool, int) or movable not in (0, 1):
            self.fail(f"{path}.allow_migration", f"expected true, false, 0 or 1, found {shown(movable)}")
        first = 0 if len(taken) == 2 else taken[0][0]
        values = (len(taken) * taken[0][1], len(taken) * taken[0][2], len(taken), 2 * self.host_index[host] + first)
        for what, value in zip(("cores", "memory", "numas", "node", "movable"), (*values, bool(movable)), strict=True):
            self.columns[what].append(value)

    def sides(self, path: str, data, least: int) -> list[tuple[int, str, dict]]:
        """The entries of a list over NUMA nodes, each with the number of its node and its path."""
        found = []
        for place, node in enumerate(self.rows(path, data, least, 2)):
            where = f"{path}[{place}]"
            numa = self.whole(f"{where}.node", self.part(where, node, "node"), 0, 1)
            if found and found[0][0] == numa:
                self.fail(f"{where}.node", f"NUMA node {numa} stands twice")
            found.append((numa, where, node))
        return found

    def sets(self, path: str, cluster: dict) -> list[tuple[str, tuple[int, ...]]]:
        """The deployment sets of a cluster as groups; VMs that were left out are in none."""
        other = cluster.get("other_requirement", {})
        if not isinstance(other, dict):
            self.fail(f"{path}.other_requirement", f"expected an object, found {shown(other)}")
        found, path = [], f"{path}.other_requirement.deployment_set"
        for index, entry in enumerate(self.rows(path, other.get("deployment_set", []), 0, MAX_LISTS)):
            place = f"{path}[{index}]"
            scope = self.part(place, entry, "granularity")
            if scope not in SCOPES:
                self.fail(f"{place}.granularity", f"expected {' or '.join(SCOPES)}, found {shown(scope)}")
            names = self.rows(f"{place}.data", self.part(place, entry, "data"), 0, MAX_VMS)
            members = sorted({self.member(f"{place}.data[{k}]", name) for k, name in enumerate(names)} - {-1})
            if len(members) > 1:
                found.append((scope, tuple(members)))
        return found

    def member(self, path: str, name) -> int:
        if not isinstance(name, str) or name not in self.vm_index:
            if not isinstance(name, str) or name not in self.left_out:
                self.fail(path, f"there is no VM {shown(name)}")
            return -1
        return self.vm_index[name]
