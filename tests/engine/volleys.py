"""Has a child read thousands of made-up files, and watches it: a crash, a hang, memory that grows.

``FUZZ_INPUTS`` says how many, ``FUZZ_SEED`` which. Every file has a number, and is the same
whenever it is made: what breaks something is named by seed and number, and shown.
"""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

import psutil

from catalog.batches import FileFormat
from tests.engine.volley_child import Account, aim, made

INPUTS = int(os.environ.get("FUZZ_INPUTS", "500"))
SEED = os.environ.get("FUZZ_SEED", "1")
#: So many files meet every way through a reader, whatever the seed.
MANY = 20_000
#: Of processor time, for one file of a few kilobytes: more is a hang.
MOST_SECONDS = 5.0
#: Without an end, whatever processor time it had: then it waits for something.
MOST_SECONDS_WAITING = 900.0
MOST_MEMORY_BYTES = 1 << 30
#: What a volley may take after its first thousand files, which fill caches and pools.
MOST_GROWTH_BYTES = 128 << 20
_LOOK_SECONDS = 0.2


def volley(format: FileFormat) -> Account:
    """Have all files read; nothing but rows and refusals may come of them."""
    with tempfile.NamedTemporaryFile() as progress:
        progress.write(bytes(8))
        progress.flush()
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.engine.volley_child"),
                *(format, SEED, str(INPUTS), progress.name),
            ],
            stdout=subprocess.PIPE,
        )
        try:
            with mmap.mmap(progress.fileno(), 8) as number:
                said = _watched(child, format, number)
        finally:
            child.kill()
            child.communicate()
    account = Account(**json.loads(said))
    assert account.failure is None, f"{account.failure}\n{_named(format, account.failed)}"
    print(_told(format, account))  # noqa: T201 -- what ``make fuzz`` is asked for
    assert account.slowest_seconds < MOST_SECONDS, _named(format, account.slowest)
    assert account.peak_bytes < MOST_MEMORY_BYTES
    assert account.peak_bytes - account.early_peak_bytes < MOST_GROWTH_BYTES
    return account


def _watched(child: subprocess.Popen[bytes], format: FileFormat, progress: mmap.mmap) -> str:
    """Wait for what the child has to say; name the file on which it dies or hangs."""
    last, worked, at = -1, 0.0, 0.0
    while True:
        with suppress(subprocess.TimeoutExpired):
            said, _ = child.communicate(timeout=_LOOK_SECONDS)
            number = int.from_bytes(progress[:8], "little")
            assert child.returncode == 0, f"died: {child.returncode}\n{_named(format, number)}"
            return said.decode()
        number = int.from_bytes(progress[:8], "little")
        if number != last:
            last, worked, at = number, _worked(child.pid), time.monotonic()
        has_worked, has_waited = _worked(child.pid) - worked, time.monotonic() - at
        is_hanging = has_worked > MOST_SECONDS or has_waited > MOST_SECONDS_WAITING
        assert not is_hanging, f"{has_worked} s and no end\n{_named(format, number)}"


def _worked(pid: int) -> float:
    """Give the processor time that a process had."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:  # it has just ended
        return 0.0
    return times.user + times.system


def _named(format: FileFormat, number: int) -> str:
    file = made(format, SEED, number)
    return f"{format} {number} of seed {SEED}, as {aim(format, SEED, number)}:\n{file.content!r}"


def _told(format: FileFormat, account: Account) -> str:
    each = account.seconds / INPUTS * 1000
    return (
        f"\n{format}: {INPUTS:,} files, {each:.1f} ms of processor time each, the slowest"
        f" {account.slowest_seconds:.2f} s; at most {account.peak_bytes >> 20} MiB,"
        f" {account.early_peak_bytes >> 20} after the first thousand.\n"
        f"{dict(sorted(account.files.items()))}; {account.accepted_rows:,} rows accepted,"
        f" {account.refused_rows:,} refused, {account.promoted_rows:,} promoted;"
        f" {account.counted:,} files of which it was known how many rows they have;"
        f" {len(account.reasons)} reasons"
    )
