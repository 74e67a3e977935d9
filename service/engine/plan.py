"""Plans: what an export works out once, so that its tasks need nothing but plan and number.

A plan is a document beside the files it names, all below the folder of the attempt that made
it. Later attempts go on from it, unless their engine would have planned otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import version

from pydantic import BaseModel, ConfigDict, ValidationError

from catalog.errors import NotFound
from catalog.merge_policies import IdentityGraph
from service.engine.cuts import load_of, tasks
from service.engine.exclusions import write_exclusions
from service.engine.labelling import Labeller
from service.engine.labels import Labels, open_labels
from service.engine.memory import give_freed_memory_back
from service.engine.moves import Home, find_homes
from service.engine.numbering import Numberer
from service.engine.orders import (
    ENGINE_VERSION,
    ExportOrder,
    NewFile,
    NewLabelling,
    NewNumbering,
    Planned,
    Progress,
)
from service.engine.scatter import Run, Scatter, Scattered
from service.engine.side_by_side import Note, side_by_side
from service.engine.snapshot import Snapshot
from service.engine.store_files import StoreFile
from service.engine.vocabularies import Vocabularies
from service.storage.files import Files, this_boot

Report = Callable[[Progress], None]

#: What an order says that changes no byte of what a given plan leads to.
_CIRCUMSTANCES = frozenset(
    {
        "folder",
        "plan_key",
        "finished",
        "threads",
        "part_row_count",
        "part_size_bytes",
        "slice_size_bytes",
        "labelling",
        "labelling_size_bytes",
        "homes",
        "numbering",
    }
)


class PlanMismatch(Exception):
    """The plan was made by other versions or for another order: plan anew, never mix."""


class Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


#: Batches that one task fills side by side: each keeps a file open, and rows that wait for it.
BATCHES_OF_A_TASK = 16


class Task(Document):
    """A run of consecutive prefixes, which becomes one part of each of some batches."""

    first: int
    stop: int
    #: Places of batches among those that the export fills.
    first_batch: int = 0
    stop_batch: int = 1

    def prefixes(self) -> range:
        return range(self.first, self.stop)

    def batches(self) -> range:
        return range(self.first_batch, self.stop_batch)


class Plan(Document):
    """All that could change the bytes of an export, beside its order and the store's files."""

    engine_version: str
    #: Versions of the libraries that compute and write, by name.
    libraries: dict[str, str]
    #: Names the order the plan was made for.
    order_digest: str
    #: Slices are prefixes of so many bits.
    depth: int
    tasks: tuple[Task, ...]
    #: Key of the label file; null when every identity is a profile by itself.
    labels: str | None = None
    #: Key of the numbering; null when the export shows no numbers of profiles.
    numbers: str | None = None
    runs: tuple[Run, ...] = ()
    #: Keys of lists of the rows that are read where they lie; of files that these do not tell of,
    #: who merges finds out.
    staying: tuple[str, ...] = ()
    #: Runs have all that identities files say, and these are not read.
    unites_mentions: bool = False
    homes: tuple[Home, ...] = ()
    #: Names the time since the machine was started that wrote the runs. They are not forced to the
    #: disk, which took longer than to write them: after a loss of power they may not be whole.
    boot: str | None = None
    #: The list of what is left out; null when nothing is.
    exclusions: NewFile | None = None
    #: Profiles left out by the plan.
    excluded_count: int = 0

    @property
    def task_count(self) -> int:
        return len(self.tasks)

    def check_is_of(self, order: ExportOrder) -> None:
        """Raise :class:`PlanMismatch` unless the plan was made for an order like this."""
        if self.order_digest != _digest(order):
            raise PlanMismatch("the plan was made for another order")

    def check_is_whole(self, files: Files) -> None:
        """Raise :class:`PlanMismatch` unless all runs are there, as they were written."""
        passing = [*(run.key for run in self.runs), *self.staying]
        passing += [home.leavers for home in self.homes if home.leavers is not None]
        if passing and (self.boot is None or self.boot != this_boot()):
            raise PlanMismatch(
                "the machine was started anew since the runs of the plan were written"
            )
        if not all(map(files.exists, [*passing, *(home.key for home in self.homes)])):
            raise PlanMismatch("a run or a home file of the plan is gone")


def load_plan(key: str, files: Files) -> Plan:
    """Read a stored plan; raises :class:`PlanMismatch` when it is gone or of other versions."""
    try:
        with files.open(key) as source:
            plan = Plan.model_validate_json(source.read())
    except NotFound:
        raise PlanMismatch("the plan is gone") from None
    except ValidationError:
        raise PlanMismatch("the plan has another form than this engine's") from None
    if (plan.engine_version, plan.libraries) != (ENGINE_VERSION, _libraries()):
        raise PlanMismatch(f"the plan is of engine {plan.engine_version} with {plan.libraries}")
    if plan.labels is not None and not files.exists(plan.labels):
        raise PlanMismatch("the labelling of the plan is gone")
    if plan.numbers is not None and not files.exists(plan.numbers):
        raise PlanMismatch("the numbering of the plan is gone")
    return plan


def make_plan(
    order: ExportOrder, files: Files, report: Report, vocabularies: Vocabularies | None = None
) -> Planned:
    """Plan an export and store the plan, with the files it names, below the order's folder.

    Who goes on to run its tasks should give the snapshot's vocabularies, and use them again.
    """
    snapshot = Snapshot(order)
    _check_secrets(snapshot, files)
    load = load_of(snapshot, files)
    plan = Plan(
        engine_version=ENGINE_VERSION,
        libraries=_libraries(),
        order_digest=_digest(order),
        depth=load.depth,
        tasks=tuple(
            Task(first=first, stop=stop, first_batch=batches[0], stop_batch=batches[-1] + 1)
            for batches in _batched(order.batch_count)
            for first, stop in tasks(load, snapshot)
        ),
    )
    labelling = numbering = None
    if order.identity_graph is IdentityGraph.PRIVATE:
        vocabularies = vocabularies or Vocabularies(snapshot, files)
        with ThreadPoolExecutor(1) as beside:
            made = beside.submit(vocabularies.make_all)  # it is mostly Arrow that works there
            plan, labelling = _labelled(plan, snapshot, files)
            made.result()
        if labelling is not None:
            give_freed_memory_back()
        plan, numbering = _stitched(plan, snapshot, vocabularies, files, report)
    if order.table is not None and order.table.has_numbers:
        plan, labelling, numbering = _numbered(plan, labelling, snapshot, files)
    key = f"{order.folder}/plan.json"
    with files.create(key) as sink:
        sink.write(plan.model_dump_json().encode())
    return Planned(
        key=key,
        engine_version=ENGINE_VERSION,
        task_count=plan.task_count,
        labelling=labelling,
        numbering=numbering,
        numbers=plan.numbers,
    )


def _labelled(plan: Plan, snapshot: Snapshot, files: Files) -> tuple[Plan, NewLabelling | None]:
    """Add to a plan who is who; also give the labelling when it had to be made for it."""
    labeller = Labeller(snapshot, files)
    if labeller.saved_key is not None:
        return plan.model_copy(update={"labels": labeller.saved_key}), None
    if not labeller.is_needed:
        return plan, None
    labelling = labeller.write(f"{snapshot.order.folder}/labels.parquet")
    return plan.model_copy(update={"labels": labelling.key}), labelling


def _numbered(
    plan: Plan, labelling: NewLabelling | None, snapshot: Snapshot, files: Files
) -> tuple[Plan, NewLabelling | None, NewNumbering | None]:
    """Add to a plan the numbers of profiles, which are those of the private graph in any export."""
    saved = snapshot.order.numbering
    if saved is not None and saved.is_current:
        return plan.model_copy(update={"numbers": saved.key}), labelling, None
    labels = plan.labels
    if snapshot.order.identity_graph is not IdentityGraph.PRIVATE:
        labelled, labelling = _labelled(plan, snapshot, files)
        labels = labelled.labels
    numbering = _new_numbering(labels, snapshot, files)
    return plan.model_copy(update={"numbers": numbering.key}), labelling, numbering


def _numbered_beside(plan: Plan, snapshot: Snapshot, files: Files) -> NewNumbering | None:
    """Number profiles that are known now, though the export shows no number.

    None when it does show them; when they have numbers, or a later snapshot's have; and when the
    last numbering is lost, of which only exports fail that show numbers.
    """
    saved, table = snapshot.order.numbering, snapshot.order.table
    if table is not None and table.has_numbers:
        return None
    if saved is not None:
        is_known = saved.is_current or saved.is_newer
        if is_known or not (files.exists(saved.key) and files.exists(saved.merged_key)):
            return None
    return _new_numbering(plan.labels, snapshot, files)


def _new_numbering(labels: str | None, snapshot: Snapshot, files: Files) -> NewNumbering:
    return Numberer(snapshot, labels, files).write(f"{snapshot.order.folder}/numbers.arrow")


def _batched(batch_count: int) -> list[range]:
    """Share batches out among tasks that each read the same rows."""
    starts = range(0, batch_count, BATCHES_OF_A_TASK)
    return [range(first, min(first + BATCHES_OF_A_TASK, batch_count)) for first in starts]


def _stitched(
    plan: Plan, snapshot: Snapshot, vocabularies: Vocabularies, files: Files, report: Report
) -> tuple[Plan, NewNumbering | None]:
    """Add to a plan who is left out, and the rows that had to be moved; number profiles beside."""
    order, key = snapshot.order, plan.labels
    labels = open_labels(key, files, order.identities_per_profile)
    if key is None or labels is None:
        return plan, _numbered_beside(plan, snapshot, files)
    plan = _excluding(plan, labels, snapshot, files)
    found = find_homes(
        order.homes,
        key,
        files,
        identity_limit=order.identities_per_profile,
        depth=plan.depth,
        folder=order.folder,
    )
    plan = plan.model_copy(update={"homes": found.homes})
    scatter = Scatter(
        snapshot=snapshot,
        movers=found.movers,
        vocabularies=vocabularies,
        labels=key,
        depth=plan.depth,
        folder=order.folder,
        files=files,
    )
    count = scatter.portion_count

    def do(number: int, _: Note) -> tuple[int, Scattered, NewNumbering | None]:
        if number == count:
            return number, Scattered([], None), _numbered_beside(plan, snapshot, files)
        return number, scatter.scattered(number), None

    written: dict[int, Scattered] = {}
    numbering = None
    report(Progress(phase="planning", done=0, total=count + 1))
    for number, told, made in side_by_side(do, [count, *range(count)], order.threads, _unheard):
        written[number] = told
        numbering = made or numbering
        report(Progress(phase="planning", done=len(written), total=count + 1))
    # In an order that does not depend on who was first.
    in_order = [written[number] for number in sorted(written)]
    moved = {
        "runs": tuple(run for each in in_order for run in each.runs),
        "staying": tuple(each.staying for each in in_order if each.staying is not None),
        "unites_mentions": scatter.unites_mentions,
        "boot": this_boot(),
    }
    return plan.model_copy(update=moved), numbering


def _unheard(_profiles: int, _bytes: int) -> None:
    """Portions note nothing: how many are done is told."""


def _excluding(plan: Plan, labels: Labels, snapshot: Snapshot, files: Files) -> Plan:
    """Add to a plan who is left out."""
    excluded = labels.excluded()
    if not excluded.profile_count:
        return plan
    key = f"{snapshot.order.folder}/exclusions.parquet"
    written = write_exclusions(excluded, snapshot, key, files)
    exclusions = NewFile(
        key=written.key,
        size_bytes=written.size_bytes,
        row_count=excluded.profile_count,
        sha256=written.sha256,
    )
    return plan.model_copy(
        update={"exclusions": exclusions, "excluded_count": excluded.profile_count}
    )


def _check_secrets(snapshot: Snapshot, files: Files) -> None:
    """Refuse to merge what different secrets keyed: equal identities would have unequal keys."""
    secrets = {StoreFile(files.open(file.key)).layout.secret for file in snapshot.files}
    if len(secrets) > 1:
        raise ValueError("the store files of the snapshot were keyed with different secrets")


def _digest(order: ExportOrder) -> str:
    document = order.model_dump_json(exclude=set(_CIRCUMSTANCES))
    return hashlib.sha256(document.encode()).hexdigest()


@cache
def _libraries() -> dict[str, str]:
    """Asked twice for every export; each time the descriptions of all would be read."""
    return {name: version(name) for name in ("numpy", "orjson", "pyarrow", "scipy")}
