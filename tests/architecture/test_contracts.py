"""The import contracts, complete: a module that no contract names is held to nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = {
    contract["name"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
}


def modules_in(folder: str) -> set[str]:
    """Dotted names of what lies directly in a package."""
    found = (ROOT / folder).iterdir()
    names = {
        path.stem
        for path in found
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }
    return {f"{folder.replace('/', '.')}.{name}" for name in names}


def sources(name: str) -> set[str]:
    return set(CONTRACTS[name]["source_modules"])


def test_every_noun_is_kept_from_the_machinery():
    named = sources("The nouns know nothing of the store, of the service, or of any machinery")
    assert named == modules_in("catalog") - {"catalog.store"}


def test_every_part_of_the_service_has_its_layer_or_is_held_by_name():
    (layers,) = (each["layers"] for each in CONTRACTS.values() if each["type"] == "layers")
    layered = {name for layer in layers for name in layer.split(" | ")}
    by_name = sources("Only the doors and the command line speak HTTP")
    assert modules_in("service") <= layered | by_name


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        (
            "Only the doors and the command line speak HTTP",
            {"service.surfaces", "service.app", "service.cli"},
        ),
        (
            "Only the engine and the storage touch columns",
            {"service.engine", "service.storage"},
        ),
    ],
)
def test_only_means_only(name: str, allowed: set[str]):
    assert sources(name) == {"catalog", *modules_in("service")} - allowed


def test_every_surface_is_independent_of_the_others():
    (surfaces,) = (
        set(each["modules"]) for each in CONTRACTS.values() if each["type"] == "independence"
    )
    # graphql is the other half of growingio: both speak of the same places in the same words.
    shared = {
        f"service.surfaces.{each}"
        for each in ("creating", "graphql", "http", "permitting", "ranges", "refusals", "sending")
    }
    assert surfaces == modules_in("service/surfaces") - shared
