"""What will be done to the service, decided by a seed before anything is started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Target(StrEnum):
    SERVER = "server"
    WORKER = "worker"
    ENGINE = "engine"
    POSTGRES = "postgres"
    SESSION = "session"  # one server process of PostgreSQL
    NETWORK = "network"  # between the service and PostgreSQL
    STORAGE = "storage"


class Deed(StrEnum):
    KILL = "SIGKILL"
    TERM = "SIGTERM"
    STOP = "SIGSTOP, SIGCONT"
    RESTART = "fast restart"
    CRASH = "immediate shutdown"
    CUT = "all connections cut"
    CUT_ONE = "one connection cut"
    DELAY = "delayed"
    SILENCE = "silent, then cut"
    LOSE_COMMIT = "answer to a commit lost"
    FULL = "disk full"
    WRITES_FAIL = "writes fail"
    READS_FAIL = "reads fail"


class Moment(StrEnum):
    ANY = "any"
    CLAIMED = "export claimed, no plan yet"
    PLANNED = "export planned, no part yet"
    WRITING = "some parts kept"
    PUBLISHING = "all parts kept, batch not shown"
    PROMOTING = "promotion running"
    COMPACTING = "compaction running"
    REBUILDING = "rebuild running"
    OPENING = "a call: open a batch"
    UPLOADING = "a call: upload"
    COMPLETING = "a call: complete a batch"
    SUBMITTING = "a call: submit a job"
    CANCELLING = "a call: cancel a job"
    DOWNLOADING = "a call: download"
    IDLE = "nothing in progress"


#: What jobs go through.
WORK = (
    Moment.CLAIMED,
    Moment.PLANNED,
    Moment.WRITING,
    Moment.PUBLISHING,
    Moment.PROMOTING,
    Moment.COMPACTING,
    Moment.REBUILDING,
)
#: What callers are in the middle of.
CALLS = (
    Moment.OPENING,
    Moment.UPLOADING,
    Moment.COMPLETING,
    Moment.SUBMITTING,
    Moment.CANCELLING,
    Moment.DOWNLOADING,
)
#: Signals to processes: what KILLS counts.
KILLS: Sequence[tuple[int, Target, Deed]] = (
    (20, Target.WORKER, Deed.KILL),
    (9, Target.WORKER, Deed.TERM),
    (12, Target.WORKER, Deed.STOP),
    (16, Target.ENGINE, Deed.KILL),
    (4, Target.ENGINE, Deed.TERM),
    (6, Target.ENGINE, Deed.STOP),
    (10, Target.SERVER, Deed.KILL),
    (6, Target.SERVER, Deed.TERM),
    (4, Target.SERVER, Deed.STOP),
    (4, Target.POSTGRES, Deed.KILL),
    (3, Target.POSTGRES, Deed.RESTART),
    (2, Target.POSTGRES, Deed.CRASH),
    (3, Target.POSTGRES, Deed.STOP),
    (3, Target.SESSION, Deed.KILL),
    (4, Target.SESSION, Deed.TERM),
)
#: What happens besides.
MISHAPS: Sequence[tuple[int, Target, Deed]] = (
    (4, Target.NETWORK, Deed.CUT),
    (4, Target.NETWORK, Deed.CUT_ONE),
    (4, Target.NETWORK, Deed.DELAY),
    (3, Target.NETWORK, Deed.SILENCE),
    (6, Target.NETWORK, Deed.LOSE_COMMIT),
    (4, Target.STORAGE, Deed.FULL),
    (3, Target.STORAGE, Deed.WRITES_FAIL),
    (3, Target.STORAGE, Deed.READS_FAIL),
)
#: A mishap for so many kills.
KILLS_PER_MISHAP = 4

#: Between two attacks, on average. New processes take one to two seconds to be of use again.
MEAN_PAUSE_SECONDS = 0.9
LONGEST_PAUSE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One thing that is done to one part of the service, as soon as its moment comes."""

    number: int
    target: Target
    deed: Deed
    moment: Moment
    #: After the attack before it.
    pause_seconds: float
    #: How long it lasts, where it does: longer than the lease of a second, if that is the point.
    lasts_seconds: float

    @property
    def is_kill(self) -> bool:
        return self.target not in {Target.NETWORK, Target.STORAGE}

    def __str__(self) -> str:
        lasts = f" for {self.lasts_seconds:.1f} s" if self.lasts_seconds else ""
        return (
            f"{self.number:4} +{self.pause_seconds:.1f} s  {self.target}: {self.deed}{lasts}"
            f"  [{self.moment}]"
        )


def plan(seed: int, kills: int) -> tuple[Attack, ...]:
    """The attacks of a seed: ``kills`` signals to processes, and a mishap for every fourth."""
    rng = Random(f"chaos {seed}")
    return tuple(_attacks(rng, kills))


def _attacks(rng: Random, kills: int) -> Iterator[Attack]:
    number = 0
    for kill in range(kills):
        number += 1
        yield _attack(rng, number, *_drawn(rng, KILLS))
        if kill % KILLS_PER_MISHAP == KILLS_PER_MISHAP - 1:
            number += 1
            yield _attack(rng, number, *_drawn(rng, MISHAPS))


def _drawn(rng: Random, choices: Sequence[tuple[int, Target, Deed]]) -> tuple[Target, Deed]:
    ((_, target, deed),) = rng.choices(choices, [weight for weight, *_ in choices])
    return target, deed


def _attack(rng: Random, number: int, target: Target, deed: Deed) -> Attack:
    return Attack(
        number=number,
        target=target,
        deed=deed,
        moment=rng.choice(_moments(target)),
        pause_seconds=min(rng.expovariate(1 / MEAN_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS),
        lasts_seconds=_seconds(rng, deed),
    )


def _moments(target: Target) -> Sequence[Moment]:
    match target:
        case Target.WORKER | Target.ENGINE:
            return (Moment.ANY, *WORK)
        case Target.SERVER:
            return (Moment.ANY, *CALLS)
        case _:
            return (Moment.ANY, *WORK, *CALLS)


def _seconds(rng: Random, deed: Deed) -> float:
    match deed:
        case Deed.STOP:
            return rng.uniform(1.2, 3.0)
        case Deed.SILENCE:
            return rng.uniform(0.5, 3.0)
        case Deed.DELAY | Deed.FULL | Deed.WRITES_FAIL | Deed.READS_FAIL:
            return rng.uniform(0.5, 2.5)
        case _:
            return 0.0
