"""Arithmetic that never overflows unseen: what its type cannot hold is null."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import types as pt

from catalog.pql.nodes import Operator
from service.engine.arrow_types import Column
from service.engine.ranking import Bools, Ints
from service.engine.segments.spaces import innermost, unpacked
from service.engine.segments.values import Plain, plain_from

Doubles = npt.NDArray[np.float64]


def calculated(operator: Operator, left: Plain, right: Plain) -> Plain:
    """Give sum, difference, product, quotient or remainder.

    Of two whole numbers it is whole, but for the quotient, which always is a double. Null where
    either is, where the divisor is 0, and where the result is beyond 64 bits or not finite.
    """
    space = innermost((left.space, right.space))
    ours, theirs = plain_from(left, space), plain_from(right, space)
    if pt.is_null(ours.type) or pt.is_null(theirs.type):
        return Plain(space, pa.nulls(space.count, pa.float64()))
    known = unpacked(ours.is_valid()) & unpacked(theirs.is_valid())
    if operator is not Operator.DIVIDE and pt.is_integer(ours.type) and pt.is_integer(theirs.type):
        result, fits = _whole(operator, _ints(ours), _ints(theirs))
        return Plain(space, pa.array(result, mask=~(known & fits)))
    result_doubles = _doubles(operator, doubles(ours), doubles(theirs))
    known &= np.isfinite(result_doubles)
    return Plain(space, pa.array(result_doubles, mask=~known))


def doubles(column: Column) -> Doubles:
    """Give numbers as doubles, 0 for null."""
    values: Doubles = column.cast(pa.float64(), safe=False).fill_null(0).to_numpy()
    return values


def _ints(column: Column) -> Ints:
    values: Ints = column.cast(pa.int64()).fill_null(0).to_numpy()
    return values


def _whole(operator: Operator, ours: Ints, theirs: Ints) -> tuple[Ints, Bools]:
    """Calculate modulo 2^64, and say where the result is the true one."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        match operator:
            case Operator.ADD:
                result = ours + theirs
                return result, ((ours ^ result) & (theirs ^ result)) >= 0
            case Operator.SUBTRACT:
                result = ours - theirs
                return result, ((ours ^ theirs) & (ours ^ result)) >= 0
            case Operator.MULTIPLY:
                result = ours * theirs
                about = ours.astype(np.float64) * theirs.astype(np.float64)
                # What wraps is wrong by 2^64 or more, and the double by 2^11 at most.
                return result, np.abs(result.astype(np.float64) - about) < 2.0**63
            case _:
                divisor = np.where(theirs == -1, 1, theirs)  # the least number has no opposite
                return np.fmod(ours, np.where(theirs == 0, 1, divisor)), theirs != 0


def _doubles(operator: Operator, ours: Doubles, theirs: Doubles) -> Doubles:
    with np.errstate(all="ignore"):
        match operator:
            case Operator.ADD:
                return ours + theirs
            case Operator.SUBTRACT:
                return ours - theirs
            case Operator.MULTIPLY:
                return ours * theirs
            case Operator.DIVIDE:
                return ours / theirs
            case _:
                return np.fmod(ours, theirs)


def exact_sums(values: Ints, starts: Ints) -> tuple[Ints, Bools, Doubles]:
    """Sum runs of whole numbers: the sums, where they fit 64 bits, and about what they are."""
    low = np.add.reduceat(values & 0xFFFF_FFFF, starts)
    high = np.add.reduceat(values >> 32, starts) + (low >> 32)
    fits: Bools = (high >= -(1 << 31)) & (high < 1 << 31)
    about = high.astype(np.float64) * 2.0**32 + (low & 0xFFFF_FFFF)
    with np.errstate(over="ignore"):
        return (high << 32) | (low & 0xFFFF_FFFF), fits, about
