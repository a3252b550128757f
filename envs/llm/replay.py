"""Replays the admissions of a schedule, server by server, and judges each on the way."""

from ..core.errors import InstanceError, ScheduleError
from ..core.schedule import Schedule
from . import profiles
from .claim import Admission, Claim
from .conditions import Conditions
from .instance import LLMInstance
from .life import Facts, Life, Stay
from .profiles import Profile
from .server import Server


def servers_of(instance: LLMInstance, conditions: Conditions) -> tuple[Profile, ...]:
    """The servers of a world: those of the instance, or as many of the profile that the conditions name.

    Raises:
        ScheduleError: if a request does not fit the memory of that profile.
    """
    if not conditions.profile:
        return instance.servers
    try:
        profile = profiles.load(conditions.profile)
    except InstanceError as error:
        raise ScheduleError(f"condition 'profile': {error}") from error
    total = int((instance.prompt + instance.output).max())
    if -(-total // profile.block_size) > profile.blocks:
        raise ScheduleError(
            f"condition 'profile': a request of {total} tokens does not fit the {profile.kv_tokens} tokens of "
            f"{conditions.profile}"
        )
    return (profile,) * len(instance.servers)


class Replay:
    """A schedule carried out: what is claimed is when requests are admitted and rejected, all else follows.

    An admission that breaks a rule is carried out all the same, at the next boundary where it was at none, unless
    the request does not wait.

    Args:
        instance: the problem.
        schedule: the claim.

    Attributes:
        claim: the schedule as it was read, with every violation that was found.
        servers: at their last boundaries.
        lives: what has become of each request.
        stays: pairs of a claimed admission and what it came to.

    Raises:
        ScheduleError: if a condition is not known or out of range, naming it.
    """

    def __init__(self, instance: LLMInstance, schedule: Schedule):
        self.claim = Claim(instance, schedule)
        conditions = self.claim.conditions
        self._facts = Facts(instance)
        self.lives = [Life() for _ in range(instance.requests)]
        self.servers = [
            Server(index, profile, conditions, self._facts, self.lives)
            for index, profile in enumerate(servers_of(instance, conditions))
        ]
        self.stays: list[tuple[Admission, Stay]] = []
        self._turn = (0, 0)  # the time and the server of the last admission
        for admission in self.claim.admissions:
            self._admit(admission)
        for server in self.servers:
            server.reach(None)

    def arrival(self, request: int) -> int | None:
        """When a request arrives, in us; None if its parent has neither finished nor been rejected so far."""
        parent, time = self._facts.parent[request], self._facts.arrival[request]
        if parent < 0:
            return time
        left = self.lives[parent].finish
        left = self.claim.rejections.get(parent) if left is None else left
        return None if left is None else left + time

    def _admit(self, admission: Admission) -> None:
        server, request, report = self.servers[admission.server], admission.request, self.claim.report
        server.reach(admission.time)
        turn = (admission.time, admission.server)
        if turn[0] == self._turn[0] and turn < self._turn and server.running:
            report("order", f"{admission} is admitted to server {turn[1]} after others to server {self._turn[1]}")
        self._turn = turn
        if server.clock > admission.time:
            text = f"{admission} is admitted at {admission.time}, within an iteration of server {server.index}"
            report("boundary", f"{text} that ends at {server.clock}")
        server.grow()
        if not self._waits(admission, server):
            return
        self._judge_arrival(admission, server.clock)
        if server.preempted_at == server.clock and server.running:
            report("preemption", f"{admission} is admitted at {server.clock}, when others were preempted")
        life = self.lives[request]
        if life.kept and life.stays[-1].server != server.index:
            text = f"{admission} is admitted to server {server.index}"
            report("server", f"{text}, but server {life.stays[-1].server} has {life.kept} of its tokens")
        if server.profile.preemptive:
            server.replace()
        plan = server.plan(request)
        for rule, words in server.obstacles(plan, request):
            report(rule, f"{admission} is admitted at {server.clock} to server {server.index}, which {words}")
        self.stays.append((admission, server.admit(request, plan)))

    def _waits(self, admission: Admission, server: Server) -> bool:
        """Whether a request neither runs nor is done with at a boundary; say so if not."""
        request, now = admission.request, server.clock
        self._settle(request, admission)
        life, rejected = self.lives[request], self.claim.rejections.get(request)
        last = life.stays[-1] if life.stays else None
        if life.finish is not None and life.finish <= now:
            text = f"it has finished at {life.finish}"
        elif last and (last.end is None or last.end > now):
            text = f"it runs on server {last.server}"
        elif rejected is not None and rejected < now:
            text = f"it was rejected at {rejected}"
        else:
            return True
        self.claim.report("waiting", f"{admission} is admitted at {now}, but {text}")
        return False

    def _judge_arrival(self, admission: Admission, now: int) -> None:
        parent = self._facts.parent[admission.request]
        if parent >= 0:
            self._settle(parent, admission)
        arrival = self.arrival(admission.request)
        if arrival is None:
            text = f"{admission} is admitted at {now}, but request {parent}"
            self.claim.report("arrival", f"{text}, which it follows, is not done by then")
        elif now < arrival:
            self.claim.report("arrival", f"{admission} is admitted at {now}, before it arrives at {arrival}")

    def _settle(self, request: int, admission: Admission) -> None:
        """Let the server of a request's last stay get to where the server of an admission is in its turn."""
        stays = self.lives[request].stays
        if stays and stays[-1].server != admission.server:
            other = self.servers[stays[-1].server]
            other.reach(admission.time)
            if other.clock == admission.time and other.index < admission.server:
                other.grow()


def replay(instance: LLMInstance, schedule: Schedule) -> Replay:
    """Carry out a schedule and judge every admission on the way, see ``Replay``."""
    return Replay(instance, schedule)
