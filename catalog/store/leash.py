"""Starts a program that dies with the process which started it.

Linux ties a program to the *thread* that started it and forgets the tie when the user changes.
So this file also runs as a script between the two, ``leash.py PARENT SIGNAL UID GID PROGRAM
ARGUMENT...``: it drops the user, ties itself, looks whether the parent is still there, and only
then becomes the program. It is a script, not a ``preexec_fn``, because Python between fork and
exec can deadlock in a process that has threads. It may import nothing but the standard library:
it starts as root, isolated, and must start fast. Other systems than Linux have no such tie.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
#: Stands for "whoever we are" in place of a user or group id.
SAME = -1


def start(
    command: Sequence[str | Path],
    *,
    last_signal: signal.Signals,
    uid: int = SAME,
    gid: int = SAME,
    environment: Mapping[str, str],
    output: IO[bytes] | int,
) -> subprocess.Popen[bytes]:
    """Run ``command``; it gets ``last_signal`` when this process ends, in whatever way.

    Only the main thread may call this: the program would die with any other thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("only the main thread lives as long as the process")
    tie = map(str, (os.getpid(), int(last_signal), uid, gid))
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", "-S", __file__, *tie, *map(str, command)],
        cwd="/",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # ^C in the terminal is for the owner, which ends it in order
    )


def _become(parent: int, last_signal: int, uid: int, gid: int, command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.umask(0o077)
    if uid != SAME:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux" and libc.prctl(_PR_SET_PDEATHSIG, last_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        sys.exit("the process that asked for this program is gone")
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    parent, last_signal, uid, gid = map(int, sys.argv[1:5])
    _become(parent, last_signal, uid, gid, sys.argv[5:])
