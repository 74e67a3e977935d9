"""Carries out attacks: waits for their moment, finds a victim, strikes, undoes what must end."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import asyncpg

from catalog.store.obstacles import Obstacle
from tests.chaos.moments import Standing, Watch
from tests.chaos.plan import Attack, Deed, Moment, Target
from tests.chaos.rig import Rig, signal_all

#: How long an attack waits for its moment before it takes any.
PATIENCE_SECONDS = 2.0

SIGNALS = {Deed.KILL: signal.SIGKILL, Deed.TERM: signal.SIGTERM}
ENDINGS = {
    Deed.KILL: signal.SIGKILL,
    Deed.RESTART: signal.SIGINT,
    Deed.CRASH: signal.SIGQUIT,
}
FAULTS = {Deed.FULL: "full", Deed.WRITES_FAIL: "writes", Deed.READS_FAIL: "reads"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An attack as it went."""

    attack: Attack
    #: Seconds after the first.
    at: float
    #: What went on in that moment, of the victim where it is one of several.
    moment: Moment
    #: Processes or connections that were hit.
    victim_count: int


class Attacks:
    """Attacks one service, one thing at a time; what lasts goes on meanwhile."""

    def __init__(self, rig: Rig, watch: Watch, seed: int) -> None:
        self._rig = rig
        self._watch = watch
        self._seed = seed
        self._began_at = time.monotonic()
        self._lasting: set[asyncio.Task[None]] = set()
        #: Attacks that broke PostgreSQL for good, or us: not the service's fault.
        self.troubles: list[str] = []

    async def carry_out(self, attack: Attack) -> Done:
        rng = Random(f"chaos {self._seed} victim {attack.number}")
        await asyncio.sleep(attack.pause_seconds)
        standing = None
        if attack.moment is not Moment.ANY:
            standing = await self._watch.wait_for(attack.moment, PATIENCE_SECONDS)
        # Asked before the blow: afterwards nobody can tell.
        worker_pid = standing.worker_pid if standing else None
        moment = attack.moment if standing else await self._watch.now(attack.moment, worker_pid)
        at = time.monotonic() - self._began_at
        victims = await self._strike(attack, standing, rng)
        return Done(attack=attack, at=at, moment=moment, victim_count=victims)

    async def settle(self) -> None:
        """Wait until whatever lasts is over, and leave nothing stopped, cut or spoilt."""
        await asyncio.gather(*self._lasting)

    async def _strike(self, attack: Attack, standing: Standing | None, rng: Random) -> int:
        match attack.target:
            case Target.STORAGE:
                self._rig.spoil(FAULTS[attack.deed], share=rng.choice([0.2, 1.0]))
                self._last(attack, self._rig.mend)
                return 1
            case Target.NETWORK:
                return self._disturb(attack, rng)
            case Target.POSTGRES if attack.deed in ENDINGS:
                self._do(self._rig.take_down_postgres(ENDINGS[attack.deed]))
                return 1
        victims = self._victims(attack.target, standing, rng)
        if attack.deed is Deed.STOP:
            signal_all(victims, signal.SIGSTOP)
            self._last(attack, lambda: signal_all(victims, signal.SIGCONT))
        else:
            signal_all(victims, SIGNALS[attack.deed])
        return len(victims)

    def _victims(self, target: Target, standing: Standing | None, rng: Random) -> list[int]:
        rig = self._rig
        pid = standing.worker_pid if standing else None
        with suppress(OSError):  # PostgreSQL is on its way up or down: nobody is there to hit
            match target:
                case Target.POSTGRES:
                    return rig.all_of_postgres()
                case Target.SERVER:
                    candidates = [rig.server.pid] if rig.server.pid else []
                case Target.WORKER:
                    workers = [worker.pid for worker in rig.workers if worker.pid]
                    candidates = [pid] if pid in workers else workers
                case Target.ENGINE:
                    candidates = rig.engines(pid) or rig.engines()
                case _:
                    candidates = rig.sessions()
            return [rng.choice(candidates)] if candidates else []
        return []

    def _disturb(self, attack: Attack, rng: Random) -> int:
        proxy = self._rig.proxy
        match attack.deed:
            case Deed.CUT:
                return proxy.cut_all()
            case Deed.CUT_ONE:
                return proxy.cut_one(rng)
            case Deed.DELAY:
                proxy.delay_seconds = rng.uniform(0.02, 0.2)
                self._last(attack, lambda: setattr(proxy, "delay_seconds", 0.0))
            case Deed.SILENCE:
                proxy.fall_silent()

                def over() -> None:
                    proxy.cut_all()
                    proxy.speak()

                self._last(attack, over)
            case Deed.LOSE_COMMIT:
                proxy.lose_a_commit()
        return 1

    def _last(self, attack: Attack, undo: Callable[[], None]) -> None:
        async def later() -> None:
            try:
                await asyncio.sleep(attack.lasts_seconds)
            finally:
                undo()

        self._do(later())

    def _do(self, what: Awaitable[None]) -> None:
        async def watched() -> None:
            try:
                await what
            except (OSError, Obstacle, asyncpg.PostgresError) as error:
                self.troubles.append(f"{type(error).__name__}: {error}")

        task = asyncio.create_task(watched())
        self._lasting.add(task)
        task.add_done_callback(self._lasting.discard)
