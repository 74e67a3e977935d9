"""Ties a child to its parent: where the one ends, so does the other."""

from __future__ import annotations

import ctypes
import os
import signal
import sys


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, where the kernel can."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C in a terminal is the parent's to answer
    if sys.platform == "linux":
        parent = os.getppid()
        set_parent_death_signal = 1  # PR_SET_PDEATHSIG, <linux/prctl.h>
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
