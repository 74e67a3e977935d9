"""Keeps memory that was freed in the process, for the next columns to use.

Every step of a merge fills columns of some megabytes and drops them again. By default each is a
mapping of its own, which the kernel clears page by page when it is given and takes back when it
is dropped; that was a fifth of an export's processor time.
"""

from __future__ import annotations

import ctypes
import gc
import sys

import pyarrow as pa

# What mallopt of the GNU C library calls its options, <malloc.h>.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
#: Larger than any column of a slice.
_MAPPED_FROM_BYTES = 1 << 30
#: By how much more than needed the heap grows at a time.
_GROWTH_BYTES = 16 << 20


def keep_freed_memory() -> None:
    """Have NumPy and Arrow share one heap that never shrinks, where the C library can.

    Meant for processes that end with their one order.
    """
    gc.freeze()  # what was imported stays: nothing to look through again and again
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return
    library.mallopt(_ARENA_MAX, 1)
    library.mallopt(_MMAP_THRESHOLD, _MAPPED_FROM_BYTES)
    library.mallopt(_TRIM_THRESHOLD, -1)
    library.mallopt(_TOP_PAD, _GROWTH_BYTES)
    pa.set_memory_pool(pa.system_memory_pool())


def give_freed_memory_back() -> None:
    """Give the kernel what was freed, where the C library can: before copies are made of a process
    that held more than it will need again, each of which would hold it too."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)
