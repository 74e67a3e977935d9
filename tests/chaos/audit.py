"""Checks what is left of the service after an attack. Each check says what it found wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from catalog import batches, jobs
from catalog.jobs import JobEvent, JobKind
from catalog.lifecycle import Lifecycle
from catalog.store.database import Connection, Record
from tests.chaos.evidence import SQL, Evidence, digest, exported_nicknames, row_count
from tests.chaos.ledger import Ledger
from tests.chaos.samples import expected, nicknames

#: Who asks for replays.
AUDITOR = "audit"


class Glances:
    """Looks between two attacks at what must hold at every moment."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[str, int]] = {}

    async def glance(self, db: Connection) -> list[str]:
        found = []
        for row in await SQL["attempts"].rows(db):
            state, attempt = self._seen.get(row["id"], ("", 0))
            if row["attempt"] < attempt:
                found.append(f"job {row['id']} went from attempt {attempt} to {row['attempt']}")
            if state in jobs.ENDED and row["state"] != state:
                found.append(f"job {row['id']} was {state} and is {row['state']}")
            self._seen[row["id"]] = row["state"], row["attempt"]
        if gone := self._seen.keys() - {row["id"] for row in await SQL["attempts"].rows(db)}:
            found.append(f"jobs {sorted(gone)} are gone")
        found += [
            f"batch {row['id']} shows files, its job {row['job_id']} is {row['state']}"
            for row in await SQL["shown_too_early"].rows(db)
        ]
        found += [
            f"job {row['job_id']} is {row['state']}, its batch {row['id']} {row['batch_state']}"
            for row in await SQL["ends_apart"].rows(db)
        ]
        return found


def violations(evidence: Evidence, ledger: Ledger, files: Path) -> list[str]:
    """Everything that is wrong, when all jobs have ended and nothing is attacked any more."""
    return [
        *_forgotten(evidence, ledger),
        *_doubled(evidence, ledger),
        *_histories(evidence),
        *_job_histories_count_attempts(evidence),
        *_ends(evidence),
        *_missing_or_other_bytes(evidence, files),
        *_downloads(evidence, ledger),
        *_same_upload_same_files(evidence, ledger, files),
        *_rebuilt_as_first(evidence, files),
        *_ingest_order(evidence),
        *_whole_and_once(evidence),
        *_counters(evidence, ledger),
        *_values(evidence, ledger, files),
    ]


def _forgotten(evidence: Evidence, ledger: Ledger) -> Iterator[str]:
    """What callers were told must be so."""
    for id, sent in ledger.batches.items():
        batch = evidence.batches.get(id)
        state = batch["state"] if batch else "not known"
        told = {
            "completed": sent.is_completed and not (batch and batch["job_id"]),
            "given up": sent.is_given_up and state != "aborted",
            "reverted": sent.is_reverted and state != "inactive",
            "opened": batch is None,
        }
        yield from (
            f"batch {id} was {what} and is {state}" for what, wrong in told.items() if wrong
        )
    for id, asked in ledger.jobs.items():
        job = evidence.jobs.get(id)
        if job is None:
            yield f"job {id} was accepted and is not known"
        elif asked.is_cancelled and job["state"] != "cancelled":
            yield f"job {id} was cancelled and is {job['state']}"


def _doubled(evidence: Evidence, ledger: Ledger) -> Iterator[str]:
    """What callers asked for once is there once, however often they had to ask."""
    for id, job in evidence.jobs.items():
        is_asked_for = job["kind"] == JobKind.EXPORT and job["created_by"] != AUDITOR
        if is_asked_for and id not in ledger.jobs:
            yield f"job {id} was asked for by nobody who knows of it"
    for id in evidence.batches.keys() - ledger.batches.keys():
        if not _is_export(evidence, id):
            yield f"batch {id} was opened by nobody who knows of it"


def _histories(evidence: Evidence) -> Iterator[str]:
    for id, history in evidence.job_events.items():
        yield from _follow(jobs.LIFECYCLE, f"job {id}", history[1:], history[0]["state"])
        if history[-1]["state"] != evidence.jobs[id]["state"]:
            yield f"job {id} is {evidence.jobs[id]['state']}, its history ends otherwise"
    for id, history in evidence.batch_events.items():
        opened = "exporting" if _is_export(evidence, id) else "loading"
        yield from _follow(batches.LIFECYCLE, f"batch {id}", history, opened)
        if history[-1]["state"] != evidence.batches[id]["state"]:
            yield f"batch {id} is {evidence.batches[id]['state']}, its history ends otherwise"


def _follow(
    lifecycle: Lifecycle[Any, Any], who: str, history: list[Record], state: str
) -> Iterator[str]:
    """Walk a history along the table of the lifecycle."""
    for row in history:
        if lifecycle.edges.get(state, {}).get(row["event"]) != row["state"]:
            yield f"{who} went from {state} to {row['state']} by {row['event']}"
        state = row["state"]


def _is_export(evidence: Evidence, batch_id: str) -> bool:
    job_id = evidence.batches[batch_id]["job_id"]
    return job_id is not None and evidence.jobs[job_id]["kind"] == JobKind.EXPORT


def _job_histories_count_attempts(evidence: Evidence) -> Iterator[str]:
    for id, history in evidence.job_events.items():
        claimed = [row["attempt"] for row in history if row["event"] == JobEvent.CLAIM]
        if claimed != list(range(1, len(claimed) + 1)):
            yield f"job {id} was claimed under the attempts {claimed}"
        if evidence.jobs[id]["attempt"] != len(claimed):
            yield f"job {id} counts {evidence.jobs[id]['attempt']} attempts, not {len(claimed)}"


def _ends(evidence: Evidence) -> Iterator[str]:
    """One batch for a success; nothing to read for what failed or was cancelled."""
    for id, job in evidence.jobs.items():
        if job["state"] not in jobs.ENDED:
            yield f"job {id} never ended: it is {job['state']}"
        if job["state"] == "failed" and not job["errors"]:
            yield f"job {id} failed and does not say why"
        own = evidence.batches_of(id)
        if len(own) != (job["kind"] in jobs.FILLS_BATCHES):
            yield f"job {id} has {len(own)} batches"
        for batch in own:
            shown = evidence.files.get(batch["id"], [])
            if job["state"] == "succeeded" and not shown:
                yield f"job {id} succeeded and its batch has no file"
            if job["state"] != "succeeded" and shown:
                yield f"job {id} is {job['state']} and its batch has files"


def _missing_or_other_bytes(evidence: Evidence, files: Path) -> Iterator[str]:
    """Every file the database names is on disk as it says."""
    for batch_id, listed in evidence.files.items():
        names = [row["name"] for row in listed]
        if len(set(names)) != len(names):
            yield f"batch {batch_id} names a file twice"
        for row in listed:
            yield from _compare(files, row, f"file {row['name']} of batch {batch_id}")
            path = files / row["key"]
            if path.exists() and row_count(path) != row["row_count"]:
                yield f"{path.name} of batch {batch_id} has {row_count(path)} rows"
    for row in (*evidence.meta_files, *evidence.uploads):
        yield from _compare(files, row, f"{row['key']} of batch {row['batch_id']}")
    for row in evidence.store_files:
        path = files / row["key"]
        if not path.exists() or path.stat().st_size != row["size_bytes"]:
            yield f"{row['kind']} of batch {row['batch_id']} are not on disk as was written down"


def _compare(files: Path, row: Mapping[str, Any], what: str) -> Iterator[str]:
    path = files / row["key"]
    if not path.exists():
        yield f"{what} is not on disk"
    elif path.stat().st_size != row["size_bytes"]:
        yield f"{what} has {path.stat().st_size} bytes, not {row['size_bytes']}"
    elif digest(path) != row["sha256"]:
        yield f"{what} has other bytes than were hashed"


def _downloads(evidence: Evidence, ledger: Ledger) -> Iterator[str]:
    """What readers were sent is what was written."""
    for (batch_id, name), found in ledger.downloads.items():
        written = {row["name"]: row["sha256"] for row in evidence.files.get(batch_id, [])}
        if written.get(name) != found:
            yield f"file {name} of batch {batch_id} was downloaded with other bytes"


def _same_upload_same_files(evidence: Evidence, ledger: Ledger, files: Path) -> Iterator[str]:
    """The same upload makes the same files, disturbed or not: the first was not."""
    first: dict[object, tuple[str, list[object]]] = {}
    store: dict[str, list[Record]] = {}
    for row in evidence.store_files:
        if not row["is_rebuilt"]:
            store.setdefault(row["batch_id"], []).append(row)
    for id, sent in ledger.batches.items():
        if evidence.batches.get(id, {}).get("state") not in {"active", "inactive"}:
            continue
        written: list[object] = [
            (row["name"], row["row_count"], row["sha256"]) for row in evidence.files.get(id, [])
        ]
        written += sorted(
            (row["kind"], row["row_count"], digest(files / row["key"]))
            for row in store.get(id, [])
            if (files / row["key"]).exists()
        )
        if not written:
            yield f"batch {id} is active and has no file"
        undisturbed = first.setdefault(sent.variant, (id, written))
        if written != undisturbed[1]:
            yield f"batch {id} became other files than batch {undisturbed[0]} of the same upload"


def _rebuilt_as_first(evidence: Evidence, files: Path) -> Iterator[str]:
    """What was made anew of a batch is what was made of it when it came, byte for byte."""
    first: dict[tuple[str, str], str] = {}
    for row in evidence.store_files:
        of = (row["batch_id"], row["kind"])
        if row["batch_id"] is None or not (files / row["key"]).exists():
            continue  # compacted; or gone, which is told of all files
        if first.setdefault(of, digest(files / row["key"])) != digest(files / row["key"]):
            yield f"{row['kind']} of batch {row['batch_id']} were rebuilt otherwise than they were"


def _ingest_order(evidence: Evidence) -> Iterator[str]:
    """Promotions of a data set become visible in the order in which they were completed."""
    commits: dict[int, str] = {}
    last: dict[str, int] = {}
    for row in evidence.store_files:
        if row["batch_id"] is None or row["is_rebuilt"]:
            continue  # compacted: the rows of many; or of a commit that took another batch out
        if commits.setdefault(row["added"], row["batch_id"]) != row["batch_id"]:
            yield f"commit {row['added']} is of two batches"
        if row["ingest_number"] < last.get(row["dataset_id"], 0):
            yield f"batch {row['batch_id']} came out of order"
        last[row["dataset_id"]] = row["ingest_number"]


def _whole_and_once(evidence: Evidence) -> Iterator[str]:
    """Of a batch that an export reads it reads every kind of rows, and none twice."""
    brought: dict[str, set[str]] = defaultdict(set)
    for row in evidence.store_files:
        if row["batch_id"] is not None and row["row_count"]:
            brought[row["batch_id"]].add(row["kind"])
    for id, job in evidence.jobs.items():
        if job["kind"] != JobKind.EXPORT:
            continue
        read = evidence.counted(job["snapshot"])
        for batch_id in sorted({batch_id for batch_id, _ in read}):
            counts = {kind: read[batch_id, kind] for kind in sorted(brought[batch_id])}
            if set(counts.values()) != {1}:
                yield f"job {id} read the rows of batch {batch_id} so often: {counts}"


def _counters(evidence: Evidence, ledger: Ledger) -> Iterator[str]:
    """A job counts what its parts counted, its files hold, and its input makes of it."""
    for id, job in evidence.jobs.items():
        if job["kind"] != JobKind.EXPORT or job["state"] != "succeeded":
            continue
        told = job["metrics"]["counters"]
        summed: Counter[str] = Counter()
        for part in evidence.parts.get(id, []):
            summed.update(part["counters"])
            if f"/jobs/{id}/{part['attempt']}-" not in part["key"]:
                yield f"job {id} has a part of another attempt than it says: {part['key']}"
        if evidence.parts.get(id) and dict(summed) != told:
            yield f"job {id} counts {told}, its parts {dict(summed)}"
        (batch,) = evidence.batches_of(id)
        rows = sum(row["row_count"] for row in evidence.files[batch["id"]])
        if rows != told["profiles"]:
            yield f"job {id} counts {told['profiles']} profiles, its files hold {rows}"
        if id in ledger.jobs:
            yield from _as_worked_out(evidence, ledger, id, told)


def _as_worked_out(
    evidence: Evidence, ledger: Ledger, id: int, told: Mapping[str, int]
) -> Iterator[str]:
    read = evidence.in_snapshot(evidence.jobs[id]["snapshot"]) & ledger.batches.keys()
    sent = [ledger.batches[batch_id].variant for batch_id in read]
    asked = ledger.jobs[id]
    right = expected(
        [variant for variant in sent if variant.kind == "people"],
        [variant for variant in sent if variant.kind == "clicks"],
        stitched=asked.is_stitched,
        with_events=asked.has_events,
    )
    found = (told["profiles"], told["events"])
    if found != (right.profiles, right.events):
        yield f"job {id} exported {found} profiles and events, not {right}"


def _values(evidence: Evidence, ledger: Ledger, files: Path) -> Iterator[str]:
    """People who are exported alone have the nickname that came last of those in the snapshot."""
    for id, asked in ledger.jobs.items():
        job = evidence.jobs.get(id)
        if job is None or job["state"] != "succeeded" or asked.is_stitched:
            continue
        read = evidence.in_snapshot(job["snapshot"]) & ledger.batches.keys()
        by_age = sorted(read, key=lambda batch: evidence.batches[batch]["ingest_number"])
        sent = [ledger.batches[batch_id].variant for batch_id in by_age]
        right = nicknames([variant for variant in sent if variant.kind == "people"])
        found: dict[str, str] = {}
        (batch,) = evidence.batches_of(id)
        for row in evidence.files.get(batch["id"], []):
            if (files / row["key"]).exists():
                found |= exported_nicknames(files / row["key"])
        if found != right:
            wrong = sorted(name for name in right | found if right.get(name) != found.get(name))
            yield f"job {id} exported other nicknames than came last, of {wrong[:3]}"
