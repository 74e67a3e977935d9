"""The engine's process by itself, without the runner that would end it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.engine import channel
from service.engine.orders import Compacted, CompactionOrder
from tests.patience import PATIENCE_SECONDS


def test_a_child_whose_parent_keeps_listening_ends_in_order_after_its_last_answer(tmp_path: Path):
    command = [sys.executable, "-m", "service.engine.child", str(tmp_path), "30"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write(channel.frame(CompactionOrder(folder="f", mergers=(), secret=b"s")))
        child.stdin.flush()
        answers = []
        while body := channel.receive(child.stdout):
            answers.append(channel.answer_in(body))
        assert child.wait(PATIENCE_SECONDS) == 0
        assert answers[-1] == Compacted(files=())
        assert child.stderr.read() == b""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
@pytest.mark.parametrize("module", ["child", "lookup_child"])
def test_a_start_brings_neither_pandas_nor_threads_of_linear_algebra(module: str):
    script = f"""
import service.engine.{module}
import pathlib, sys
print("pandas" in sys.modules)
for thread in pathlib.Path("/proc/self/task").iterdir():
    print((thread / "comm").read_text().strip())
"""
    has_pandas, *threads = subprocess.run(
        [sys.executable, "-c", script],
        env={name: value for name, value in os.environ.items() if "THREADS" not in name},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert has_pandas == "False"
    # The memory pool's own thread bears its name; those of linear algebra bear the process's.
    assert len([name for name in threads if not name.startswith("jemalloc")]) == 1
