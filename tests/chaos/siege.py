"""One run: the service is started, worked, attacked, left alone, audited, and swept."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.request import urlopen

from catalog.store.database import Connection, connected
from catalog.store.inventory import Inventory
from catalog.store.obstacles import Obstacle
from tests.chaos import audit, evidence, replays
from tests.chaos.attacks import Attacks
from tests.chaos.callers import Callers
from tests.chaos.moments import AWAY, Watch
from tests.chaos.plan import Attack, plan
from tests.chaos.report import Report
from tests.chaos.rig import LAST_SWEEP, Rig, running
from tests.patience import PATIENCE_SECONDS

#: Eight attempts wait for 63 s between them, and each may take its time on a busy machine.
LONGEST_END_SECONDS = 300
#: So long those finish that were attacked; then others take over.
UNAIDED_SECONDS = 60
_LOOK_SECONDS = 0.2
#: Who is attacked must have got up before: after so long without an answer it is waited for.
DOWN_SECONDS = 8.0
LONGEST_DOWN_SECONDS = 90.0
#: The sweeper may be killed too: the next goes on where it was.
KILLED_SWEEPS = 2


@dataclass(slots=True, kw_only=True)
class Siege:
    rig: Rig
    report: Report
    #: Told what goes on.
    say: Callable[[str], None]

    async def run(self, attacks: tuple[Attack, ...]) -> None:
        with self._timed("start"):
            callers = await enter(self.rig, self.report.seed)
            await self.rig.rouse()
        try:
            with self._timed("attack"):
                await self._attack(attacks, callers)
            with self._timed("until all jobs had ended"):
                await self._leave_alone(callers)
                await self._until_all_ended()
            with self._timed("replays and audit"):
                await self._audit(callers)
            with self._timed("sweep"):
                await self._sweep()
        finally:
            await callers.close()
            self.report.answers = callers.ledger.answers

    async def _attack(self, attacks: tuple[Attack, ...], callers: Callers) -> None:
        watch = Watch(self.rig, callers.in_progress)
        doing, glances = Attacks(self.rig, watch, self.report.seed), audit.Glances()
        callers.start()
        try:
            for attack in attacks:
                await _until_up(callers)
                done = await doing.carry_out(attack)
                self.report.done.append(done)
                hit = "" if done.victim_count else "  (nobody was there)"
                self.say(f"{done.at:7.1f} s  {attack}  {done.moment}{hit}")
                await self._glance(glances)
            await doing.settle()
        finally:
            self.report.troubles += doing.troubles
            await watch.close()

    async def _glance(self, glances: audit.Glances) -> None:
        try:
            async with self._database() as db:
                self._accuse(await glances.glance(db))
        except (*AWAY, Obstacle):
            return  # it is PostgreSQL that was attacked: the next look is soon

    async def _leave_alone(self, callers: Callers) -> None:
        """Let callers finish what they began; after a while with workers that lose no lease.

        On a machine that does much else besides, one of a second would be lost again and again.
        """
        finishing = asyncio.create_task(callers.finish())
        await asyncio.wait([finishing], timeout=UNAIDED_SECONDS)
        await self.rig.calm_down()
        await finishing

    async def _until_all_ended(self, *, each: bool = False) -> None:
        """Every accepted job reaches an end, once it is left alone; ``each`` has so long."""
        deadline = time.monotonic() + LONGEST_END_SECONDS
        last_count = 0
        async with self._database() as db:
            while unfinished := await evidence.unfinished(db):
                if each and len(unfinished) != last_count:
                    last_count = len(unfinished)
                    deadline = time.monotonic() + LONGEST_END_SECONDS
                if time.monotonic() > deadline:
                    self._accuse([f"never ended: {dict(row)}" for row in unfinished])
                    return
                await asyncio.sleep(_LOOK_SECONDS)

    async def _audit(self, callers: Callers) -> None:
        async with self._database() as db:
            found = await evidence.gather(db)
            again = await replays.replay(db, found)
        await self._until_all_ended(each=True)  # hundreds of jobs that wait for one another
        async with self._database() as db:
            found = await evidence.gather(db)
        report, ledger = self.report, callers.ledger
        self._accuse(ledger.violations)
        self._accuse(await asyncio.to_thread(audit.violations, found, ledger, self.rig.files))
        self._accuse(replays.differences(found, again))
        attacked = [job for id, job in found.jobs.items() if id not in again]
        report.jobs = Counter(f"{job['kind']} {job['state']}" for job in attacked)
        report.attempts = Counter(job["attempt"] for job in attacked if job["state"] == "succeeded")
        report.figures |= {
            "batches callers know of": len(ledger.batches),
            "export jobs callers know of": len(ledger.jobs),
            "files downloaded and compared": ledger.download_count,
            "exports compared with an undisturbed run": sum(map(len, again.values())),
            "undisturbed runs": len(again),
            "store files made anew": sum(row["is_rebuilt"] for row in found.store_files),
            "home files of store files": sum(row["has_home"] for row in found.store_files),
            "starts of the server": self.rig.server.starts,
            "starts of workers": self.rig.worker_starts,
        }

    async def _sweep(self) -> None:
        """With every process dead, one sweep leaves what a row names, and nothing else.

        Two sweeps are killed before it, at moments that the seed decides.
        """
        rig, rng = self.rig, Random(f"chaos {self.report.seed} sweeps")
        await rig.end()
        before = _on_disk(rig.files)
        for _ in range(KILLED_SWEEPS):
            sweep = rig.begin_sweep()
            await asyncio.sleep(rng.uniform(1.0, 3.0))
            sweep.kill()
            await asyncio.to_thread(sweep.wait)
        last = await asyncio.to_thread(rig.command, "sweep", **LAST_SWEEP)
        if last.returncode:
            self._accuse([f"the last sweep failed: {last.stderr.strip()[-500:]}"])
        after = _on_disk(rig.files)
        async with self._database() as db:
            named = await Inventory(db).named_keys()
        self._accuse([f"{key} is named by no row and was not swept" for key in after - named])
        self._accuse([f"{key} is named by a row and is gone" for key in named - after])
        self.report.figures |= {
            "files before the sweep": len(before),
            "files removed by the sweep": len(before - after),
        }

    def _accuse(self, violations: list[str]) -> None:
        for violation in violations:
            if violation not in self.report.violations:
                self.report.violations.append(violation)
                self.say(f"VIOLATION  {violation}")

    @asynccontextmanager
    async def _database(self) -> AsyncIterator[Connection]:
        async with connected(**self.rig.direct) as db:
            yield db

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began_at = time.monotonic()
        try:
            yield
        finally:
            self.report.seconds[stage] = time.monotonic() - began_at
            self.say(f"{stage}: {self.report.seconds[stage]:.1f} s")


async def enter(rig: Rig, seed: int) -> Callers:
    """Wait until a service takes calls, and fill it; return those who will call it."""
    await until_ready(rig)
    shown = await asyncio.to_thread(rig.command, "credentials", "--json")
    callers = Callers(rig.base_url, json.loads(shown.stdout), seed)
    await callers.prepare()
    return callers


async def _until_up(callers: Callers) -> None:
    """Let a service that is down for long get up: where nobody is served, nothing is tried.

    On a machine that does something else besides, a server takes longer to start than the plan
    leaves it. Callers that wait longer than this give up, which is a violation.
    """
    deadline = time.monotonic() + LONGEST_DOWN_SECONDS
    while time.monotonic() < deadline:
        if time.monotonic() - callers.answered_at < DOWN_SECONDS:
            return
        await asyncio.sleep(_LOOK_SECONDS)


async def until_ready(rig: Rig) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await asyncio.to_thread(_is_ready, rig.base_url):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the service did not start: see {rig.log('server')}")
        await asyncio.sleep(_LOOK_SECONDS)


def _is_ready(base_url: str) -> bool:
    try:
        with urlopen(f"{base_url}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _on_disk(files: Path) -> set[str]:
    return {path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()}


async def besiege(
    *, seed: int, kills: int, say: Callable[[str], None], folder: Path | None = None
) -> Report:
    """Attack a service of its own with the plan of a seed; return what became of it."""
    report = Report(seed=seed, kills=kills)
    async with running(folder, is_calm=True) as rig:
        await Siege(rig=rig, report=report, say=say).run(plan(seed, kills))
    return report
