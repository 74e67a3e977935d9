"""Which store files should become one."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from catalog.compaction import (
    BUSY_FACTOR,
    LOWEST_TIER_BYTES,
    TIER_FACTOR,
    CompactionPolicy,
    due,
    homeless,
    tier,
)
from catalog.organisations import OrganisationId, SandboxId, Scope
from catalog.store_files import LiveFile, StoreFileId, StoreFileKind

SCOPE = Scope(
    organisation_id=OrganisationId("o"), sandbox_id=SandboxId(UUID(int=1)), sandbox_name="prod"
)
POLICY = CompactionPolicy(least_files=3, most_files=5, most_bytes=100 * LOWEST_TIER_BYTES)


def a_file(id, size_bytes=10, *, dataset_id="d", kind=StoreFileKind.RECORDS, rid=False, busy=False):
    return LiveFile(
        id=StoreFileId(id),
        scope=SCOPE,
        dataset_id=dataset_id,
        kind=kind,
        size_bytes=size_bytes,
        is_to_be_rid=rid,
        is_busy=busy,
    )


def ids(groups):
    return [[file.id for file in group] for group in groups]


def test_few_files_are_left_alone():
    assert due([a_file(1), a_file(2)], POLICY) == ()


def test_a_full_tier_becomes_one_smallest_first_and_no_more_than_may():
    files = [a_file(n, size_bytes=20 - n) for n in range(7)]
    assert ids(due(files, POLICY)) == [[6, 5, 4, 3, 2]]


def test_data_sets_and_kinds_are_never_mixed():
    files = [
        *(a_file(n, dataset_id="a") for n in range(3)),
        *(a_file(n, dataset_id="b") for n in range(3, 5)),
        *(a_file(n, dataset_id="b", kind=StoreFileKind.LINKS) for n in range(5, 8)),
    ]
    assert ids(due(files, POLICY)) == [[0, 1, 2], [5, 6, 7]]


def test_where_jobs_wait_more_files_are_borne_but_not_any_number():
    files = [a_file(n, busy=True) for n in range(3 * BUSY_FACTOR)]
    assert due(files[1:], POLICY) == ()
    assert ids(due(files, POLICY)) == [[0, 1, 2, 3, 4]]
    assert ids(due([a_file(1, busy=True, rid=True)], POLICY)) == [[1]]


def test_a_large_file_is_not_written_again_for_a_few_small_ones():
    large = LOWEST_TIER_BYTES * TIER_FACTOR
    files = [a_file(1, large), *(a_file(n) for n in range(2, 5))]
    assert ids(due(files, POLICY)) == [[2, 3, 4]]


def test_files_that_are_large_enough_are_left_alone():
    files = [a_file(n, POLICY.most_bytes + 1) for n in range(4)]
    assert due(files, POLICY) == ()


def test_no_more_bytes_become_one_than_may():
    files = [a_file(n, POLICY.most_bytes // 2) for n in range(4)]
    assert ids(due(files, POLICY)) == [[0, 1]]


def test_rows_to_be_erased_are_got_rid_of_in_any_case():
    assert ids(due([a_file(1, rid=True), a_file(2)], POLICY)) == [[1]]
    assert ids(due([a_file(1, POLICY.most_bytes * 2, rid=True)], POLICY)) == [[1]]
    files = [a_file(n, rid=n == 1) for n in range(3)]
    assert ids(due(files, POLICY)) == [[0, 1, 2]]


@pytest.mark.parametrize("size_bytes", [0, 1, LOWEST_TIER_BYTES, LOWEST_TIER_BYTES * TIER_FACTOR])
def test_tiers_rise_with_size(size_bytes):
    assert tier(size_bytes + 1) >= tier(size_bytes)
    assert tier(size_bytes * TIER_FACTOR + LOWEST_TIER_BYTES + 1) > tier(size_bytes)


def test_large_files_are_given_home_files_unless_they_become_one_with_others_or_jobs_wait():
    large = POLICY.home_from_bytes
    files = [replace(a_file(n, large, dataset_id=str(n)), is_homeless=n != 2) for n in range(4)]
    small = replace(a_file(4, large - 1), is_homeless=True)
    taken = (files[3],)
    assert ids([homeless((*files, small), [taken], POLICY)]) == [[0, 1]]
    busy = [replace(file, is_busy=True) for file in files]
    assert homeless(busy, [], POLICY) == ()
