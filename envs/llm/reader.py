"""The JSON format of LLM instances, read without trusting a byte of it and written so that it is read back.

An example of two requests, the second of which follows the first::

    {"family": "llm", "name": "a question and another", "objective": "miss_rate",
     "servers": [{"profile": "llama-3-8b-h100", "kv_tokens": 60000}],
     "arrival": [0, 2000000], "parent": [-1, 0], "prompt": [500, 640], "output": [100, 80], "predicted": [90, 90],
     "client": [0, 0], "priority": [0, 0], "ttft_target": [1500000, 1780000], "tbt_target": 100000, "e2e_target": 0,
     "group": [3, 3], "shared": 200}

The arrays are those of ``LLMInstance``; one number stands for the same for all requests. All but ``arrival``,
``prompt`` and ``output`` may be left out. A server is a ``profile`` of a name with what differs from it, or all of
the numbers of a ``Profile``; it may have a ``name``. Times are in us, coefficients of servers in fs.
"""

import json
from dataclasses import asdict

import numpy as np

from ..core.errors import InstanceError, UnknownNameError
from ..core.json_walk import Walker, load, shown
from . import profiles
from .fields import MAX_REQUESTS, MAX_SERVERS
from .profiles import FIELDS, Profile

NEEDED = ("arrival", "prompt", "output")
USUAL = {
    "predicted": None, "parent": -1, "client": 0, "priority": 0, "ttft_target": 0, "tbt_target": 0, "e2e_target": 0,
    "group": -1, "shared": 0,
}  # fmt: skip
HEAD = ("family", "name", "objective", "servers")
TOP = (*HEAD, *NEEDED, *USUAL)
WHOLE = 2**62  # the arrays' own limits are looked at by the instance


def read_fields(text: str, where: str) -> dict:
    """The fields of an instance from JSON text, as keyword arguments of ``LLMInstance``.

    Args:
        text: the whole text.
        where: a path or description of the source, for messages.

    Returns:
        What the text holds; its name only if it has one.

    Raises:
        InstanceError: on anything else than the format, naming the field. Ranges of the numbers of requests, and what
            one array says about another, are left to ``LLMInstance``.
    """
    data, walker = load(text, where), Walker(where)
    walker.record("", data, TOP, ("name", "objective", *USUAL))
    if data["family"] != "llm":
        walker.fail("family", f'expected "llm", found {shown(data["family"])}')
    found: dict = {what: walker.word(what, data[what]) for what in ("name", "objective") if what in data}
    servers = walker.rows("servers", data["servers"], 1, MAX_SERVERS)
    read = [_server(walker, f"servers[{index}]", server) for index, server in enumerate(servers)]
    found |= {"servers": tuple(server for server, _ in read), "server_names": tuple(name for _, name in read)}
    length = len(walker.rows("arrival", data["arrival"], 1, MAX_REQUESTS))
    for what in (*NEEDED, *USUAL):
        if what in data:
            found[what] = _column(walker, what, data[what], length)
    return found


def _column(walker: Walker, what: str, values, length: int) -> np.ndarray:
    if type(values) is int:
        return np.full(length, walker.whole(what, values, -1, WHOLE), dtype=np.int64)
    if not isinstance(values, list):
        walker.fail(what, f"expected a list or one whole number, found {shown(values)}")
    walker.rows(what, values, length, length)
    for place, value in enumerate(values):
        if type(value) is not int or not -1 <= value <= WHOLE:
            walker.whole(f"{what}[{place}]", value, -1, WHOLE)
    return np.array(values, dtype=np.int64)


def _server(walker: Walker, path: str, data) -> tuple[Profile, str]:
    """A server and its name."""
    walker.record(path, data, ("name", "profile", *FIELDS), ("name", "profile", *FIELDS))
    numbers = {what: data[what] for what in FIELDS if what in data}
    start, known = {}, None
    if "profile" in data:
        known = walker.word(f"{path}.profile", data["profile"])
        try:
            start = asdict(profiles.profile(known))
        except UnknownNameError as error:
            raise InstanceError(f"{path}.profile: {error}", walker.where) from error
    elif "base" not in data:
        walker.fail(path, "expected a profile or the coefficients of one, found neither profile nor base")
    try:
        server = Profile(**(start | numbers))
    except InstanceError as error:
        raise InstanceError(f"{path}: {str(error).removeprefix('profile: ')}", walker.where) from error
    named = walker.word(f"{path}.name", data["name"]) if "name" in data else known
    index = path.removeprefix("servers[").removesuffix("]")
    return server, named or profiles.name_of(server) or f"server {index}"


def write(instance) -> str:
    """The JSON of an instance, a line for each server and each array.

    Args:
        instance: an ``LLMInstance``.
    """
    lines = [f'"{what}": {json.dumps(getattr(instance, what))}' for what in ("name", "objective")]
    servers = zip(instance.server_names, instance.servers, strict=True)
    rows = [json.dumps({"name": name} | asdict(server)) for name, server in servers]
    lines.append('"servers": [\n' + ",\n".join(rows) + "\n]")
    for what in (*NEEDED, *USUAL):
        values = getattr(instance, what)
        if what == "predicted" and (values == instance.output).all():
            continue
        if what in NEEDED or (values != values[0]).any():
            lines.append(f'"{what}": {json.dumps(values.tolist(), separators=(",", ":"))}')
        elif values[0] != USUAL[what]:
            lines.append(f'"{what}": {values[0]}')
    return '{"family": "llm",\n' + ",\n".join(lines) + "}\n"
