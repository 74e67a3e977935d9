"""What callers were told: the accounts the audit holds the service to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.samples import Variant


@dataclass(slots=True, kw_only=True)
class SentBatch:
    """A batch a caller opened, and what it knows of it."""

    variant: Variant
    #: The service said that it has it, whole.
    is_completed: bool = False
    is_given_up: bool = False
    is_reverted: bool = False


@dataclass(slots=True, kw_only=True)
class AskedJob:
    """An export job a caller was told of."""

    batch_id: str
    is_stitched: bool
    has_events: bool
    is_cancelled: bool = False
    #: Statuses in the order in which they were shown.
    shown: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Ledger:
    batches: dict[str, SentBatch] = field(default_factory=dict)
    jobs: dict[int, AskedJob] = field(default_factory=dict)
    #: SHA-256 of what was downloaded, by batch and file name.
    downloads: dict[tuple[str, str], str] = field(default_factory=dict)
    #: Answers by call and status; 0 for no answer at all.
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    download_count: int = 0
    #: What no caller should ever have been told.
    violations: list[str] = field(default_factory=list)

    def accuse(self, violation: str) -> None:
        if violation not in self.violations:
            self.violations.append(violation)
