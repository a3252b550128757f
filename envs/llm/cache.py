"""The prefix cache of one server: whole blocks that outlive the request that computed them."""

import heapq
from dataclasses import dataclass

SESSION, GROUP = range(2)  # of entries that were last used at the same time, those of sessions go first


@dataclass(slots=True)
class Entry:
    """Blocks that are kept.

    Attributes:
        blocks: how many.
        used: when it was last used, in us.
        group: of a session's entry, the group on whose entry it stands.
        running: of a group's entry, how many running requests use it.
        sessions: of a group's entry, how many entries of sessions stand on it.
    """

    blocks: int
    used: int
    group: int = -1
    running: int = 0
    sessions: int = 0


class PrefixCache:
    """Entries of groups, beginnings of prompts, and of sessions, what follows on those.

    Attributes:
        blocks: of all entries.
        pinned: blocks of the entries that running requests use.
    """

    def __init__(self):
        self.blocks = self.pinned = 0
        self._groups: dict[int, Entry] = {}
        self._sessions: dict[int, Entry] = {}
        self._unused: list[tuple[int, int, int]] = []  # a heap of (used, kind, number); some may have changed since

    def group_blocks(self, group: int) -> int:
        """Blocks of a group's entry, 0 if there is none."""
        entry = self._groups.get(group)
        return entry.blocks if entry else 0

    def group_users(self, group: int) -> int:
        """Running requests that use a group's entry."""
        entry = self._groups.get(group)
        return entry.running if entry else 0

    def session_blocks(self, root: int) -> int:
        """Blocks of a session's entry, 0 if there is none."""
        entry = self._sessions.get(root)
        return entry.blocks if entry else 0

    def make_group(self, group: int, blocks: int, time: int) -> None:
        """Make a group's entry, which one running request uses."""
        self._groups[group] = Entry(blocks, time, running=1)
        self.blocks += blocks
        self.pinned += blocks

    def use_group(self, group: int, time: int) -> None:
        """A running request uses a group's entry from now on."""
        entry = self._groups[group]
        self.pinned += 0 if entry.running else entry.blocks
        entry.running += 1
        entry.used = time

    def leave_group(self, group: int, time: int | None = None) -> None:
        """A running request uses a group's entry no longer.

        Args:
            group: which.
            time: when it was used last; as before when left out.
        """
        entry = self._groups[group]
        entry.running -= 1
        entry.used = entry.used if time is None else time
        self.pinned -= 0 if entry.running else entry.blocks
        self._offer_group(group)

    def keep_session(self, root: int, group: int, blocks: int, time: int) -> None:
        """Make a session's entry, in the place of an older one.

        Args:
            root: the first request of the session.
            group: its group, -1 for none; its entry, if there is one, has one more user.
            blocks: how many, beyond those of the group's entry.
            time: now, in us.
        """
        self.drop_session(root)
        self._sessions[root] = Entry(blocks, time, group)
        self.blocks += blocks
        if group in self._groups:
            self._groups[group].sessions += 1
        heapq.heappush(self._unused, (time, SESSION, root))

    def drop_session(self, root: int) -> None:
        """A session's entry, if there is one, ceases to exist, and its group's entry has a user less."""
        entry = self._sessions.pop(root, None)
        if entry is None:
            return
        self.blocks -= entry.blocks
        if entry.group in self._groups:
            self._groups[entry.group].sessions -= 1
            self._offer_group(entry.group)

    def evict(self) -> bool:
        """The entry without users that was used least recently ceases to exist; whether there was one."""
        while self._unused:
            used, kind, number = heapq.heappop(self._unused)
            entry = (self._groups if kind == GROUP else self._sessions).get(number)
            if entry is None or entry.used != used or entry.running or entry.sessions:
                continue
            if kind == SESSION:
                self.drop_session(number)
            else:
                self.blocks -= self._groups.pop(number).blocks
            return True
        return False

    def _offer_group(self, group: int) -> None:
        entry = self._groups[group]
        if not entry.running and not entry.sessions:
            heapq.heappush(self._unused, (entry.used, GROUP, group))
