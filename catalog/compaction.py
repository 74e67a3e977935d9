"""Which store files are worth making one of: many small ones, seldom a large one.

Files of one data set and kind are sorted into tiers, each of files some times larger than those
of the tier below. When a tier is full its files become one, which falls into a higher tier. So a
row is written again only as often as there are tiers, and no more than a few files are left in
each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from catalog.store_files import LiveFile


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionPolicy:
    """When files become one."""

    #: As many files of a tier, those of lower tiers included, become one. At least 2.
    least_files: int
    #: No more become one at once: all are open at the same time.
    most_files: int = 64
    #: Larger ones are left alone, and no more bytes become one at once: the time a compaction
    #: may take, since exports wait for it where there is but one worker.
    most_bytes: int = 4 << 30
    #: Files from so many bytes on have a home file: of smaller ones hardly anything is to be moved.
    home_from_bytes: int = 8 << 20


#: Where jobs wait they go first, until there are so many times more files than it takes elsewhere:
#: else a sandbox that is never idle would be slower every day.
BUSY_FACTOR = 4

#: Files of up to so many bytes are of the lowest tier: opening one costs as much as reading it.
LOWEST_TIER_BYTES = 1 << 20
#: How much larger the files of the next tier may be.
TIER_FACTOR = 8


def homeless(
    files: Sequence[LiveFile], groups: Sequence[Sequence[LiveFile]], policy: CompactionPolicy
) -> tuple[LiveFile, ...]:
    """Say which files of one sandbox should be given a home file, as they are.

    Those that become one with others are not among them, and nobody is where jobs wait.
    """
    taken = {file.id for group in groups for file in group}
    return tuple(
        file
        for file in files
        if file.is_homeless
        and not file.is_busy
        and file.size_bytes >= policy.home_from_bytes
        and file.id not in taken
    )


def due(files: Sequence[LiveFile], policy: CompactionPolicy) -> tuple[tuple[LiveFile, ...], ...]:
    """Say which files of one sandbox should become one, group by group; no file is in two.

    A group is of one data set and kind. A file with rows that are to be erased is in one in any
    case, if need be alone.
    """
    if any(file.is_busy for file in files):
        policy = replace(policy, least_files=BUSY_FACTOR * policy.least_files)
    by_place = sorted(
        files, key=lambda file: (file.dataset_id, file.kind, file.size_bytes, file.id)
    )
    groups = []
    for _, place in groupby(by_place, key=lambda file: (file.dataset_id, file.kind)):
        alike = tuple(place)
        group = _smallest(alike, policy)
        groups += [group] if group else []
        groups += [(file,) for file in alike if file.is_to_be_rid and file not in group]
    return tuple(groups)


def tier(size_bytes: int) -> int:
    """The tier of a file, from 0."""
    number, limit = 0, LOWEST_TIER_BYTES
    while size_bytes > limit:
        number, limit = number + 1, limit * TIER_FACTOR
    return number


def _smallest(alike: tuple[LiveFile, ...], policy: CompactionPolicy) -> tuple[LiveFile, ...]:
    """The smallest files up to the first tier that is full; none when no tier is."""
    eligible = [file for file in alike if file.size_bytes <= policy.most_bytes]
    highest = max((tier(file.size_bytes) for file in eligible), default=-1)
    for limit in range(highest + 1):
        low = [file for file in eligible if tier(file.size_bytes) <= limit]
        if len(low) >= policy.least_files:
            return _within(low[: policy.most_files], policy.most_bytes)
    return ()


def _within(files: list[LiveFile], most_bytes: int) -> tuple[LiveFile, ...]:
    while len(files) > 1 and sum(file.size_bytes for file in files) > most_bytes:
        files.pop()
    return tuple(files) if len(files) > 1 else ()
