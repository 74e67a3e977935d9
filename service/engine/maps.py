"""The two maps of a profile that the service itself understands, merged entry by entry.

``identityMap`` is not a leaf: it is the union of what the identities files say of a profile.
``segmentMembership`` is a leaf whose entries are merged one by one. Both are built here as
Parquet maps with sorted keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog.identities import AuthenticatedState
from catalog.schemas import Field, Kind
from service.engine.arrow_types import IDENTITY, Chunks, Column
from service.engine.columns import structs
from service.engine.kernel import Texts, ordered_with_text, text_ranks
from service.engine.ranking import (
    Bools,
    Ints,
    Keys,
    equal,
    grouped,
    ordered,
    run_offsets,
    run_starts,
)

#: Of so many, one flag for each profile and namespace is cheaper than sorting.
FEW_NAMESPACES = 32
#: By the code that identities files use: weakest first.
STATES = pa.array([state.value for state in AuthenticatedState])

#: The list that older clients know instead of the map, built from the map.
IDENTITIES = Field(
    "identities",
    Kind.ARRAY,
    element=Field(
        "element",
        Kind.OBJECT,
        fields=(
            Field("id", Kind.STRING),
            Field("namespace", Kind.OBJECT, fields=(Field("code", Kind.STRING),)),
            Field("primary", Kind.BOOLEAN),
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """Rows of identities files: who is named by the rows of which owner, profile by profile."""

    profile: Ints
    identity: Keys
    #: The identity is the owner's own.
    is_owner: Bools
    #: Place of the namespace in ``spellings``.
    namespace: Ints
    value: Texts
    #: Code of the strongest state seen, a place in :data:`STATES`.
    state: npt.NDArray[np.int8]
    #: Namespace codes as registered, in byte order.
    spellings: Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """The identities of profiles: sorted by profile, namespace as spelt, then value."""

    profile: Ints
    namespace: Ints
    value: Column
    state: npt.NDArray[np.int8]
    is_primary: Bools
    spellings: Column


def spelt(namespace: Chunks, spellings: Mapping[str, str]) -> tuple[Ints, Column]:
    """Number rows by their namespace as registered, in byte order; and give those spellings.

    ``namespace`` has dictionaries; ``spellings`` is by lower-case code, and a namespace it
    lacks is spelt as it is stored.
    """
    if not namespace.num_chunks:
        return np.empty(0, np.int64), pa.array([], pa.string())
    chunks = namespace.unify_dictionaries().chunks
    codes = [spellings.get(code, code) for code in chunks[0].dictionary.to_pylist()]
    in_order = sorted(codes, key=str.encode)
    place = {code: number for number, code in enumerate(in_order)}
    numbers = np.array([place[code] for code in codes], np.int64)
    indices = np.concatenate([chunk.indices.to_numpy() for chunk in chunks])
    return numbers[indices], pa.array(in_order, pa.string())


def entries(mentions: Mentions, *, newest_owner: Keys, has_record: Bools) -> Entries:
    """Unite what rows say of profiles' identities: one entry per profile and identity.

    ``newest_owner`` is per profile the primary identity of its newest record row and becomes
    the map's one primary; a profile without a record row gets its smallest owner instead.
    """
    order = grouped(mentions.profile, mentions.identity)
    profile, identity = mentions.profile[order], mentions.identity.at(order)
    starts = run_starts(profile, identity.hi, identity.lo)
    rows, profile, identity = order[starts], profile[starts], identity.at(starts)
    state, is_owned = mentions.state[rows], mentions.is_owner[rows]
    if len(rows):
        state = np.maximum.reduceat(mentions.state[order], starts)
        is_owned = np.logical_or.reduceat(mentions.is_owner[order], starts)
    is_primary = equal(identity, newest_owner.at(profile))
    is_primary &= has_record[profile]
    is_primary |= _smallest(profile, is_owned) & ~has_record[profile]
    namespace = mentions.namespace[rows]
    if len(run_starts(profile)) == len(profile):
        return Entries(
            profile=profile,
            namespace=namespace,
            value=mentions.value(rows),
            state=state,
            is_primary=is_primary,
            spellings=mentions.spellings,
        )
    value = mentions.value(rows)
    sorting = ordered_with_text([profile, namespace], value.take)
    return Entries(
        profile=profile[sorting],
        namespace=namespace[sorting],
        value=value.take(sorting),
        state=state[sorting],
        is_primary=is_primary[sorting],
        spellings=mentions.spellings,
    )


def _smallest(profile: Ints, is_owned: Bools) -> Bools:
    """Mark the first of each profile's entries that is owned; entries ascend by profile."""
    owned = np.flatnonzero(is_owned)
    marks = np.zeros(len(profile), np.bool_)
    marks[owned[run_starts(profile[owned])]] = True
    return marks


def identity_map(entries: Entries, profile_count: int) -> Column:
    """Build the ``identityMap`` of each profile, of the type that schemas give it."""
    groups = run_starts(entries.profile, entries.namespace)
    items = pa.StructArray.from_arrays(
        [entries.value, STATES.take(pa.array(entries.state)), pa.array(entries.is_primary)],
        names=[field.name for field in IDENTITY],
    )
    lists = pa.ListArray.from_arrays(pa.array(np.append(groups, len(items)), pa.int32()), items)
    names = entries.spellings.take(entries.namespace[groups])
    offsets = run_offsets(entries.profile[groups], profile_count)
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), names, lists)


def identities(entries: Entries, profile_count: int, element: Field) -> Column:
    """Build the derived list ``identities`` with those of its fields that ``element`` has."""
    leaves = {
        "element.id": entries.value,
        "element.namespace.code": entries.spellings.take(entries.namespace),
        "element.primary": pa.array(entries.is_primary),
    }
    offsets = run_offsets(entries.profile, profile_count)
    return pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), structs(element.fields, leaves, "element.")
    )


def profiles_by_namespace(profile: Ints, namespace: Ints, spellings: Column) -> dict[str, int]:
    """Count for each namespace the profiles that have an identity of it."""
    if len(spellings) <= FEW_NAMESPACES:
        has = np.zeros((int(profile.max(initial=-1)) + 1, len(spellings)), np.bool_)
        has[profile, namespace] = True
        counts = has.sum(axis=0)
    else:
        order = ordered(profile, namespace)
        starts = run_starts(profile[order], namespace[order])
        counts = np.bincount(namespace[order[starts]], minlength=len(spellings))
    return {
        str(code): int(count)
        for code, count in zip(spellings.to_pylist(), counts, strict=True)
        if count
    }


def segment_membership(maps: Column, profile: Ints, strength: Ints, profile_count: int) -> Column:
    """Merge memberships: per profile, namespace and segment that of the latest qualification.

    The arguments are parallel: a row's map, its profile, its strength. Of equal or missing times
    the stronger row's entry stands. A profile none of whose rows has a map has none; one whose
    maps hold no membership has an empty one.
    """
    inner = maps.items
    within = _sizes(inner)
    namespace_at = np.repeat(np.arange(len(inner)), within)
    row = np.repeat(np.arange(len(maps)), _sizes(maps))[namespace_at]
    namespace, segment = text_ranks(maps.keys)[namespace_at], text_ranks(inner.keys)
    order = _by_qualification(inner.items, (profile[row], namespace, segment), strength[row])
    last = order[_run_ends(profile[row][order], namespace[order], segment[order])]
    owner = profile[row[last]]
    groups = run_starts(owner, namespace[last])
    segments = pa.MapArray.from_arrays(
        pa.array(np.append(groups, len(last)), pa.int32()),
        inner.keys.take(last),
        inner.items.take(last),
    )
    has_map = np.zeros(profile_count + 1, np.bool_)  # the end of the last is no null either
    has_map[profile[~_is_null(maps)]] = has_map[-1] = True
    offsets = run_offsets(owner[groups], profile_count)
    return pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32(), mask=~has_map),
        maps.keys.take(namespace_at[last[groups]]),
        segments,
    )


def _by_qualification(memberships: Column, groups: Sequence[Ints], strength: Ints) -> Ints:
    """Sort memberships within their groups by time, then strength; null ones are left out."""
    time = memberships.field("lastQualificationTime").cast(pa.int64())
    order = ordered(*groups, ~_is_null(time), time.fill_null(0).to_numpy(), strength)
    return order[~_is_null(memberships)[order]]


def _run_ends(*sorted_columns: Ints) -> Ints:
    starts = run_starts(*sorted_columns)
    ends: Ints = np.append(starts[1:], len(sorted_columns[0]))[: len(starts)] - 1
    return ends


def _is_null(column: Column) -> Bools:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False))


def _sizes(maps: Column) -> Ints:
    sizes: Ints = np.diff(maps.offsets.to_numpy()).astype(np.int64)
    return sizes
