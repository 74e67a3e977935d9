"""Tasks in processes of their own: all of them, once each, and nothing of them stays behind."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from catalog.errors import NotFound
from service.engine.side_by_side import Died, side_by_side
from tests.patience import PATIENCE_SECONDS


def ignored(*_):
    pass


def children():
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_every_task_is_run_once_and_in_no_more_processes_than_asked_for():
    ran = list(side_by_side(lambda number, _: (number, os.getpid()), range(7), 3, ignored))
    assert sorted(number for number, _ in ran) == list(range(7))
    processes = {pid for _, pid in ran}
    assert 1 <= len(processes) <= 3
    assert os.getpid() not in processes
    assert not processes & children()


def test_one_task_needs_no_process():
    assert list(side_by_side(lambda number, _: (number, os.getpid()), [5], 2, ignored)) == [
        (5, os.getpid())
    ]


def test_what_tasks_note_arrives_in_the_process_that_waits():
    noted = []

    def run(number, note):
        note(number, 10 * number)
        note(number, 20 * number)
        return number

    ran = list(side_by_side(run, [1, 2, 3], 2, lambda *told: noted.append(told)))
    assert sorted(ran) == [1, 2, 3]
    assert sorted(noted) == [(1, 10), (1, 20), (2, 20), (2, 40), (3, 30), (3, 60)]


@pytest.mark.parametrize(
    "error",
    [NotFound("stored file", "a"), OSError(28, "No space left"), MemoryError(), ValueError("odd")],
)
def test_what_a_task_raises_is_raised_where_it_is_waited_for_and_ends_the_others(error):
    def run(number, _):
        if number == 1:
            raise error
        signal.pause()

    before = children()
    with pytest.raises(type(error)) as raised:
        list(side_by_side(run, [0, 1], 2, ignored))
    assert str(raised.value) == str(error)
    assert raised.value.__dict__ == error.__dict__
    assert getattr(raised.value, "errno", None) == getattr(error, "errno", None)
    assert children() <= before


def test_a_process_that_is_killed_is_missed():
    with pytest.raises(Died, match="9"):
        list(side_by_side(lambda *_: os.kill(os.getpid(), 9), [1, 2], 2, ignored))


def test_nothing_runs_on_for_somebody_who_has_gone():
    def run(number, _):
        if number:
            signal.pause()
        return number

    before = children()
    waiting = side_by_side(run, [0, 1, 2], 2, ignored)
    assert next(waiting) == 0
    waiting.close()
    assert children() <= before


ENDLESS = """
import os, signal
from service.engine.side_by_side import side_by_side

def run(number, note):
    note(os.getpid(), 0)
    signal.pause()

list(side_by_side(run, [1, 2], 2, lambda pid, _: print(pid, flush=True)))
"""


def test_copies_end_with_the_process_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        copies = [psutil.Process(int(process.stdout.readline())) for _ in range(2)]
        process.kill()
        _, alive = psutil.wait_procs(copies, timeout=PATIENCE_SECONDS)
        assert not alive
