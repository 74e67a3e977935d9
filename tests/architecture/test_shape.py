"""The size, shape and names of the code, kept by test because reviewers forget."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for top in ("catalog", "service") for path in (ROOT / top).rglob("*.py"))

#: Names that say where a thing was put, not what it is.
CONTAINERS = {"utils", "util", "helpers", "common", "misc", "base", "core", "manager", "lib"}

SOURCES = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in MODULES}
TREES = {path: ast.parse(source) for path, source in SOURCES.items()}


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 20


def test_a_module_fits_in_the_head():
    """One that does not is two ideas by now: split it by idea."""
    assert {
        path: source.count("\n") for path, source in SOURCES.items() if source.count("\n") > 400
    } == {}


def test_a_function_is_seen_at_once():
    lengths = {
        f"{path}:{function.name}": function.end_lineno - function.lineno
        for path, tree in TREES.items()
        for function in functions(tree)
    }
    assert {name: length for name, length in lengths.items() if length >= 50} == {}


def test_a_module_says_what_it_is_for():
    assert [path for path, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_a_first_line_says_it_in_one_sentence():
    """It may run on into the next lines; then the paragraph ends where the sentence does."""
    for path, tree in TREES.items():
        opening = (ast.get_docstring(tree) or "").split("\n\n")[0].rstrip()
        assert opening.endswith((".", ":", "?", "!", "::")), path


def test_no_module_is_named_after_nothing():
    assert [path for path in SOURCES if CONTAINERS & {path.stem, *path.parts}] == []


def test_no_code_is_commented_out():
    dead = re.compile(
        r"^\s*#\s*(?:def |class |return |import |from \w+ import |await )", re.MULTILINE
    )
    assert [path for path, source in SOURCES.items() if dead.search(source)] == []
