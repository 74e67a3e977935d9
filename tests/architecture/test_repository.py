"""What the repository promises its reader: a right map, and nothing of one machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from catalog import errors

ROOT = Path(__file__).parents[2]

#: Homes and work folders of single machines, but for the homes of nobody in particular.
MACHINE_PATHS = re.compile(
    r"(?<![\w.])/(?:(?:home|Users)/(?!someone\b|you\b)\w+|root/\.\w+|work/\w+)"
)
REGISTRY_HOSTS = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|index-url[ =]+\S*//"
    r"|//[\w.-]*(?:registry|artifactory|nexus|mirror)[\w.-]*[:/]",
    re.IGNORECASE,
)


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def texts() -> list[tuple[Path, str]]:
    here = Path(__file__)
    found = [path for path in tracked() if path.is_file() and path != here]
    return [(path, path.read_text(encoding="utf-8", errors="ignore")) for path in found]


def test_no_tracked_file_names_a_path_of_one_machine():
    for path, text in texts():
        assert not MACHINE_PATHS.search(text), path


def test_no_tracked_file_names_a_package_registry():
    for path, text in texts():
        assert not REGISTRY_HOSTS.search(text), path


def test_uv_lock_is_not_kept_for_it_names_registries():
    assert ROOT / "uv.lock" not in tracked()


def test_the_map_in_the_readme_is_the_tree():
    """The map is the first block below a heading that has the word; it names every folder."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(
        r"^#+ [^\n]*\bmap\b.*?^```\w*\n(.*?)^```", readme, re.DOTALL | re.MULTILINE | re.IGNORECASE
    )
    assert found, "README.md has a heading with the word map, and below it a block with the tree"
    named = set(re.findall(r"^(?:[├└]── )?([\w.-]+)", found[1], re.MULTILINE))
    tops = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert named - tops == set()
    folders = {top for top in tops if (ROOT / top).is_dir() and not top.startswith(".")}
    assert folders - named == set()


def refusals(kind: type[errors.Refusal] = errors.Refusal) -> list[type[errors.Refusal]]:
    below = [found for child in kind.__subclasses__() for found in refusals(child)]
    return [kind, *below]


def test_every_refusal_has_a_code_of_its_own():
    codes = [refusal.code for refusal in refusals()]
    assert len(codes) == len(set(codes))


def test_every_refusal_is_drawn_in_the_tree_of_errors():
    drawn = set(re.findall(r"^ *[*+.-] (\w+)", errors.__doc__ or "", re.MULTILINE))
    assert drawn == {refusal.__name__ for refusal in refusals()}


def test_the_manual_lists_every_code():
    manual = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    for refusal in refusals():
        assert f"`{refusal.code}`" in manual
