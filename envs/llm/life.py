"""What is known of each request: what the instance says, and what has become of it in a replay."""

from dataclasses import dataclass, field

from .instance import LLMInstance


class Facts:
    """What the instance says of each request, as lists of Python integers."""

    def __init__(self, instance: LLMInstance):
        self.prompt, self.output = instance.prompt.tolist(), instance.output.tolist()
        self.arrival, self.parent = instance.arrival.tolist(), instance.parent.tolist()
        self.group, self.shared = instance.group.tolist(), instance.shared.tolist()
        self.root, self.priority = instance.root.tolist(), instance.priority.tolist()
        self.follow_up = instance.follow_up.tolist()


@dataclass(slots=True, eq=False)
class Stay:
    """A request in the batch of a server, from its admission until it finishes or is preempted.

    Attributes:
        request, server: who and where.
        admission: when, in us.
        goal: tokens of its whole prefill.
        kv: tokens it holds; of one that decodes as many as when it began to.
        blocks: its own.
        shared: blocks of its group's entry that it uses.
        began_prefilled: whether it came with a prefill that was complete.
        since: iterations of the server before its first decode step; None while it prefills.
        prefilled: when its prefill was complete, in us.
        emitted: tokens in this stay; of one that runs without those of decode steps.
        end: when it left, in us.
        finished: whether it left because it had emitted everything.
    """

    request: int
    server: int
    admission: int
    goal: int
    kv: int
    blocks: int
    shared: int
    began_prefilled: bool = False
    since: int | None = None
    prefilled: int | None = None
    emitted: int = 0
    end: int | None = None
    finished: bool = False


@dataclass(slots=True, eq=False)
class Life:
    """What has become of a request over all its stays.

    Attributes:
        stays: in their order.
        emitted: tokens; while it runs without those of decode steps of this stay.
        kept: KV tokens that it holds outside of a server, after a preemption that keeps them.
        goal: tokens of the prefill that it has then.
        last: when it emitted its last token, in us; while it decodes when it began to.
        pause: the longest one: its length, the server of the later token, and when the two tokens were emitted.
        finish: when it had emitted everything, in us.
    """

    stays: list[Stay] = field(default_factory=list)
    emitted: int = 0
    kept: int = 0
    goal: int = 0
    last: int | None = None
    pause: tuple[int, int, int, int] | None = None
    finish: int | None = None

    def paused(self, server: int, start: int, end: int) -> None:
        """Note the time between two tokens."""
        if self.pause is None or end - start > self.pause[0]:
            self.pause = (end - start, server, start, end)
