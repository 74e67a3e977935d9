"""The engine's process by itself, without the runner that would end it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
