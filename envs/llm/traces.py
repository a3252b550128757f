"""Published traces as instances: the files of Azure, BurstGPT, Vidur and Mooncake, as they are.

A format is recognised by its columns, whatever others there are beside them:

- Azure (Patel et al. 2024): ``TIMESTAMP`` (date and time), ``ContextTokens``, ``GeneratedTokens``
- BurstGPT (Wang et al. 2024): ``Timestamp`` (seconds), ``Request tokens``, ``Response tokens``
- Vidur (Agrawal et al. 2024): ``arrived_at`` (seconds), ``num_prefill_tokens``, ``num_decode_tokens``
- Mooncake (Qin et al. 2024): JSON lines of ``timestamp`` (ms), ``input_length``, ``output_length``, ``hash_ids``

Requests are put in order of time, and the first one arrives at 0. One that was answered by no token is a failure: it
is left out, and the name of the instance says how many there were. A trace does not say what requests were to keep
to, nor what ran them: they get the usual targets, predictions are the truth, and there is one server.

Of Mooncake's blocks of 512 tokens only what can be said exactly is taken: requests with the same first block are a
group, and share as many whole blocks as all of them begin with. What some of them have in common beyond that, such as
the turns of a conversation, is not taken: the trace gives them times of arrival, and a follow-up has none of its own.
"""

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from ..core.errors import InstanceError
from ..core.files import read_text
from ..core.json_walk import Walker, load
from .fields import MAX_GROUPS, MAX_REQUESTS, MAX_TIME, USUAL_TBT, USUAL_TTFT, USUAL_TTFT_TOKEN
from .profiles import MAX_TOKENS, Profile, profile, profiles

MAX_FILE_BYTES = 64 * 2**20
SUFFIXES = (".csv", ".jsonl")
SERVER = "llama-3-8b-h100"
BLOCK = 512  # tokens of a hash of Mooncake
HASHED = ("timestamp", "input_length", "output_length")

Row = tuple[int, int, int, int]  # line, us, tokens of the prompt, tokens of the answer


def read_fields(path: str | Path, server: str = SERVER) -> dict:
    """The fields of an instance from a file, as ``parse_fields`` makes them.

    Raises:
        InstanceError: if the file cannot be read or is malformed, with its path and line.
        UnknownNameError: if there is no such profile.
    """
    return parse_fields(read_text(path, MAX_FILE_BYTES), str(path), server)


def parse_fields(text: str, where: str = "trace", server: str = SERVER) -> dict:
    """The fields of an instance from the text of a trace, as keyword arguments of ``LLMInstance``.

    Args:
        text: the whole text.
        where: a path or description of the source, for messages; its stem is the name.
        server: name of the profile of the server.

    Returns:
        What the trace and this module's usual values say, with a name.

    Raises:
        InstanceError: if the format is none of the known ones, a line is malformed, or a request is too long for the
            server; with ``where`` and the line.
        UnknownNameError: if there is no such profile.
    """
    profile(server)
    text = text.removeprefix("\ufeff")
    chains: list[list[int]] = []
    rows, failures = [], 0
    for row in _hashed(text, where, chains) if text.lstrip()[:1] == "{" else _table(text, where):
        if row[3] == 0:
            failures += 1
        else:
            _check_room(row, server, where)
            rows.append((row, len(chains) - 1))
        if len(rows) > MAX_REQUESTS:
            raise InstanceError(f"more than {MAX_REQUESTS} requests; take a part of the trace", where, row[0])
    if not rows:
        raise InstanceError(f"no request that was answered, of {failures}", where)
    rows.sort(key=lambda entry: entry[0][1])  # keeps the order of lines at equal times
    time, prompt, output = (np.array([row[column] for row, _ in rows], dtype=np.int64) for column in (1, 2, 3))
    if time[-1] - time[0] > MAX_TIME:
        raise InstanceError(
            f"the last request arrives {time[-1] - time[0]} us after the first, limit {MAX_TIME}", where
        )
    left_out = f" less {failures} failure{'s' * (failures > 1)}" if failures else ""
    found = {
        "name": (Path(where).stem or "trace") + left_out,
        "servers": (profile(server),),
        "server_names": (server,),
        "arrival": time - time[0],
        "prompt": prompt,
        "output": output,
        "ttft_target": USUAL_TTFT + USUAL_TTFT_TOKEN * prompt,
        "tbt_target": np.full(len(rows), USUAL_TBT),
    }
    return found | (_groups([chains[place] for _, place in rows], prompt, where) if chains else {})


def _check_room(row: Row, server: str, where: str) -> None:
    line, _, prompt, output = row
    if prompt < 1:
        raise InstanceError(f"expected a prompt of at least one token for an answer of {output}", where, line)
    if not _holds(profile(server), prompt + output):
        held = [name for name, one in profiles().items() if _holds(one, prompt + output)]
        would = f"profiles that would hold them: {', '.join(held)}" if held else "no profile holds so many"
        message = f"{prompt + output} tokens of prompt and answer do not fit {server}; {would}"
        raise InstanceError(message, where, line)


def _holds(server: Profile, tokens: int) -> bool:
    return -(-tokens // server.block_size) <= server.blocks


def _table(text: str, where: str) -> Iterator[Row]:
    """The rows of a CSV file of any of the formats."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = [word.strip() for word in next(lines, [])]
        columns, read_time = _recognise(head, where)
        places = [head.index(column) for column in columns]
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(head):
                raise InstanceError(f"expected {len(head)} cells, found {len(cells)}", where, lines.line_num)
            time, prompt, output = (cells[place].strip() for place in places)
            tokens = (
                _whole(value, name, where, lines.line_num)
                for value, name in zip((prompt, output), columns[1:], strict=True)
            )
            yield lines.line_num, read_time(time, columns[0], where, lines.line_num), *tokens
    except csv.Error as error:
        raise InstanceError(f"not CSV: {error}", where, lines.line_num) from error


def _recognise(head: list[str], where: str):
    """The columns of the format that a header has, and how its times are read."""
    for columns, read_time in _TABLES.items():
        if all(column in head for column in columns):
            for column in columns:
                if head.count(column) > 1:
                    raise InstanceError(f"the column {column} stands twice in the first line", where, 1)
            return columns, read_time
    known = "; ".join(", ".join(columns) for columns in _TABLES)
    found = ",".join(head)
    raise InstanceError(f"expected a first line with the columns {known}, found {found!r:.80}", where, 1)


def _whole(text: str, what: str, where: str, line: int) -> int:
    # the length is looked at before int(), which is slow on long ones
    if not re.fullmatch(r"[0-9]{1,18}(\.0*)?", text) or int(text.split(".")[0]) > MAX_TOKENS:
        raise InstanceError(f"{what}: expected a whole number from 0 to {MAX_TOKENS}, found {text!r:.40}", where, line)
    return int(text.split(".")[0])


def _seconds(text: str, what: str, where: str, line: int) -> int:
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{0,20})?(e-?[0-9]{1,2})?", text, re.ASCII | re.IGNORECASE):
        raise InstanceError(f"{what}: expected seconds, found {text!r:.40}", where, line)
    return _microseconds(float(text) * 1e6, what, where, line)


def _microseconds(value: float, what: str, where: str, line: int) -> int:
    if not 0 <= value <= MAX_TIME:
        raise InstanceError(f"{what}: expected a time of at most {MAX_TIME} us, found {value:g}", where, line)
    return round(value)


_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:Z|([+-])([0-9]{2}):?([0-9]{2}))?"
)


def _moment(text: str, what: str, where: str, line: int) -> int:
    """A date and time as us since the year 1; digits beyond microseconds are cut."""
    match = _MOMENT.fullmatch(text)
    try:
        moment = datetime(*map(int, match.groups()[:6])) if match else None
    except ValueError:
        moment = None
    if moment is None:
        raise InstanceError(f"{what}: expected a date and time, found {text!r:.40}", where, line)
    fraction, sign, hours, minutes = match.groups()[6:]
    ahead = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    since = moment - datetime.min + (ahead if sign == "-" else -ahead)
    return since // timedelta(microseconds=1) + int((fraction or "0").ljust(6, "0")[:6])


_TABLES = {
    ("TIMESTAMP", "ContextTokens", "GeneratedTokens"): _moment,
    ("Timestamp", "Request tokens", "Response tokens"): _seconds,
    ("arrived_at", "num_prefill_tokens", "num_decode_tokens"): _seconds,
}


def _hashed(text: str, where: str, chains: list[list[int]]) -> Iterator[Row]:
    """The rows of Mooncake's JSON lines; the hashes of each go to ``chains``, in the same order."""
    for line, content in enumerate(io.StringIO(text), 1):
        if not content.strip():
            continue
        try:
            walker = Walker(where)
            data = load(content, where)
            for key in HASHED:
                walker.part("", data, key)
            time = data["timestamp"]
            if type(time) not in (int, float) or not 0 <= time <= MAX_TIME:
                walker.fail("timestamp", f"expected ms from 0 to {MAX_TIME}, found {time!r:.40}")
            tokens = (walker.whole(key, data[key], 0, MAX_TOKENS) for key in HASHED[1:])
            row = (line, _microseconds(time * 1000, "timestamp", where, line), *tokens)
            hashes = walker.rows("hash_ids", data.get("hash_ids", []), 0, MAX_TOKENS)
            for place, value in enumerate(hashes):
                walker.whole(f"hash_ids[{place}]", value, 0, 2**63 - 1)
        except InstanceError as error:
            message = str(error).removeprefix(f"{where}:").removeprefix(f"{error.line}:").lstrip()
            raise InstanceError(message, where, line) from error
        # the last token of a prompt is computed whatever is cached, so that its block never counts as shared
        chains.append(hashes[: max(row[2] - 1, 0) // BLOCK])
        yield row


def _groups(chains: list[list[int]], prompt: np.ndarray, where: str) -> dict[str, np.ndarray]:
    """The group of each request and the tokens that all of its group begin with."""
    common: dict[int, list[int]] = {}
    members: dict[int, int] = {}
    for chain in chains:
        if not chain:
            continue
        so_far = common.setdefault(chain[0], chain)
        members[chain[0]] = members.get(chain[0], 0) + 1
        same = next((at for at, (a, b) in enumerate(zip(so_far, chain, strict=False)) if a != b), None)
        common[chain[0]] = so_far[: min(len(so_far), len(chain)) if same is None else same]
    several = [first for first in common if members[first] > 1]
    if len(several) > MAX_GROUPS:
        raise InstanceError(f"{len(several)} first blocks are shared, limit {MAX_GROUPS}", where)
    number = {first: place for place, first in enumerate(several)}
    group = np.array([number.get(chain[0], -1) if chain else -1 for chain in chains])
    tokens = np.array([BLOCK * len(common[first]) for first in several] + [0])
    return {"group": group, "shared": tokens[group]}
