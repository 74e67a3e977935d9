"""What a reader's own files are taken for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from catalog.errors import Invalid
from catalog.schemas import Kind, leaves
from service.cli.guesses import guess_sources, namespace_of


def write(folder: Path, name: str, *rows: object) -> None:
    (folder / name).write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def named(folder: Path) -> dict[str, list[tuple[str, str, bool]]]:
    return {
        guess.source.name: [
            (".".join(each.path), each.namespace, each.is_primary)
            for each in guess.source.identities
        ]
        for guess in guess_sources(folder).found
    }


@pytest.mark.parametrize(
    ("path", "namespace"),
    [
        ("customer_id", "customerId"),
        ("customerID", "customerId"),
        ("_tenant.systemIdentifier.crmId", "crmId"),
        ("email", "Email"),
        ("personalEmail.address", "Email"),
        ("user.id", "userId"),
        ("id", "customerId"),
        ("ECID", "ECID"),
        ("order_id", None),
        ("session.id", None),
        ("homeAddress.id", None),
        ("phone_number", None),
        ("emailOptIn", None),
        ("city", None),
    ],
)
def test_names_of_fields_tell_whom_a_row_is_about(path, namespace):
    assert namespace_of(tuple(path.split(".")), "customers") == namespace


def test_the_fullest_and_most_telling_field_is_primary(tmp_path):
    write(
        tmp_path,
        "members.jsonl",
        {"email": "a@x", "memberId": 1, "teamId": "t"},
        {"memberId": 2, "teamId": "t"},
        {"email": "c@x", "memberId": 3, "teamId": "t"},
    )
    assert named(tmp_path) == {
        "members": [("memberId", "memberId", True), ("email", "Email", False)]
    }
    (guess,) = guess_sources(tmp_path).found
    kinds = {path: leaf.kind for path, leaf in leaves(guess.fields)}
    assert kinds["memberId",] is Kind.STRING


def test_rows_with_a_timestamp_are_events(tmp_path):
    row = {"timestamp": "2025-01-01T00:00:00Z", "userId": "u"}
    write(tmp_path, "clicks.jsonl", row, row)
    (guess,) = guess_sources(tmp_path).found
    assert guess.source.is_event
    assert guess.in_words() == "clicks: events; userId is userId (primary) (guessed)"


def test_an_identity_map_needs_no_guess(tmp_path):
    write(tmp_path, "people.jsonl", {"identityMap": {"x": [{"id": "1", "primary": True}]}})
    assert named(tmp_path) == {"people": []}


def test_the_reader_knows_better(tmp_path):
    write(tmp_path, "people.jsonl", {"email": "a@x", "badge": "7", "timestamp": None})
    told = {"people.jsonl": {"identities": ["badge=badge"], "event": False}}
    (tmp_path / "identities.json").write_text(json.dumps(told))
    assert named(tmp_path) == {"people": [("badge", "badge", True)]}
    (guess,) = guess_sources(tmp_path).found
    assert guess.was_told


def test_files_about_nobody_are_left_out_with_the_reason(tmp_path):
    write(tmp_path, "people.jsonl", {"email": "a@x"})
    write(tmp_path, "products.jsonl", {"productId": "p"})
    (tmp_path / "notes.txt").write_text("hello")
    guesses = guess_sources(tmp_path)
    assert [guess.source.name for guess in guesses.found] == ["people"]
    unreadable, nobody = guesses.left_out
    assert "does not end in" in unreadable
    assert "nothing in products.jsonl says whom its rows are about" in nobody


def test_a_folder_of_nobody_is_refused(tmp_path):
    with pytest.raises(Invalid, match="is empty"):
        guess_sources(tmp_path)
    write(tmp_path, "products.jsonl", {"productId": "p"})
    with pytest.raises(Invalid, match="holds no file of rows about people"):
        guess_sources(tmp_path)


def test_what_is_said_wrongly_is_refused_with_its_place(tmp_path):
    write(tmp_path, "people.jsonl", {"email": "a@x"})
    (tmp_path / "identities.json").write_text('{"people.jsonl": {"identity": []}}')
    with pytest.raises(Invalid, match=r"identities\.json: people\.jsonl\.identity"):
        guess_sources(tmp_path)
    (tmp_path / "identities.json").write_text('{"persons.jsonl": {}}')
    with pytest.raises(Invalid, match=r"speaks of persons\.jsonl"):
        guess_sources(tmp_path)
