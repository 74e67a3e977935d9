"""Makes storage fail on demand, in every Python process that finds this file on its path.

A real full disk cannot be had everywhere, and takes the database along. So the processes of the
service run with this folder first on their path, and before each touch of a stored file ask the
document that ``CHAOS_FAULTS`` names: ``{"fault": "full" | "writes" | "reads", "share": 0.5}``.
``{"fault": "held", "from": 4}`` fails nothing: parts of exports from that number on are begun and
not gone on with for as long as it stands there. The product knows nothing of it.
"""

import errno
import importlib.abc
import importlib.machinery
import json
import os
import random
import re
import sys
import time
from contextlib import contextmanager
from pathlib import Path

PATCHED = "service.storage.files"


class Finder(importlib.abc.MetaPathFinder):
    """Finds the one module as everybody would, and changes it once it is loaded."""

    def find_spec(self, fullname, path, target=None):
        if fullname != PATCHED:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            load = spec.loader.exec_module

            def exec_module(module):
                load(module)
                make_fallible(module)

            spec.loader.exec_module = exec_module
        return spec


def make_fallible(module):
    create, scratch = module.Files.create, module.Files.scratch
    opened, read, write = module.Files.open, module.Files.read, module.Writing.write

    @contextmanager
    def fallible_create(self, *args):
        touch("writes")
        with create(self, *args) as writing:
            hold(*args)
            yield writing
            touch("writes")  # in place of fsync

    @contextmanager
    def fallible_scratch(self, *args):
        touch("writes")
        with scratch(self, *args) as folder:
            yield folder

    def fallible_write(self, data):
        touch("writes")
        return write(self, data)

    def fallible_open(self, *args):
        touch("reads")
        return opened(self, *args)

    def fallible_read(self, *args):
        touch("reads")
        return read(self, *args)

    module.Files.create, module.Files.scratch = fallible_create, fallible_scratch
    module.Files.open, module.Files.read = fallible_open, fallible_read
    module.Writing.write = fallible_write


def touch(access):
    """Fail as the disk would, when that is what is asked for now."""
    wanted = asked()
    if wanted["fault"] == "full" and access == "writes":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if wanted["fault"] == access and random.random() < wanted["share"]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def hold(key):
    """Stand still in a part, when that is what is asked for now."""
    part = re.search(r"/part-(\d+)", key)
    while part and (wanted := asked())["fault"] == "held" and int(part[1]) >= wanted["from"]:
        time.sleep(0.02)


def asked():
    """What is wanted now; of no fault when nothing is."""
    try:
        return json.loads(Path(os.environ["CHAOS_FAULTS"]).read_text(encoding="utf-8"))
    except (KeyError, OSError, ValueError):
        return {"fault": None}


sys.meta_path.insert(0, Finder())
