"""``growingio``: what GrowingIO's dialect needs defined: properties, spaces, projects, tokens."""

from __future__ import annotations

import click

from catalog.access import Access
from catalog.properties import ALL_VALUES, LAST_VALUE, PropertyKind, kind_of
from service.cli import definitions
from service.cli.access import FindAccess, access_options
from service.cli.api import Service
from service.cli.console import plain_table, print_json, results, run_client
from service.cli.definitions import COLLECTIONS, V1, Definition, Document
from service.cli.running import json_option


@click.group()
def growingio() -> None:
    """Define what GrowingIO's clients ask for, and give them tokens."""


@growingio.command()
@json_option
@access_options
def show(*, as_json: bool, access: FindAccess) -> None:
    """Show the ids of projects and spaces, and the properties of the project."""

    async def work() -> Document:
        async with Service.connect(access()) as service:
            project = await definitions.project(service)
            spaces = await service.get(f"{_portal(service, project)}/spaces")
            properties = [
                property
                for collection in COLLECTIONS.values()
                for property in (await service.get(f"{V1}/projects/{project['id']}/{collection}"))[
                    "values"
                ]
            ]
            return {"project": project, "spaces": spaces, "properties": properties}

    found = run_client(work())
    if as_json:
        print_json(found)
        return
    table = plain_table("id", "what", "key", "name", "holds")
    project = found["project"]
    table.add_row(project["id"], "project", project["key"], project["name"], "")
    for space in found["spaces"]:
        table.add_row(space["id"], "space", "", space["name"], "")
    for one in found["properties"]:
        holds = one.get("path") or one.get("namespace")
        table.add_row(one["id"], kind_of(one["key"]), one["key"], one["name"], holds)
    results().print(table)


@growingio.command()
@click.argument("key")
@click.argument("name")
@click.option("--path", help="The field it stands for, with dots: person.gender.")
@click.option("--namespace", help="Of an identity: the namespace it stands for.")
@click.option("--description", default="", help="What people should know of it.")
@json_option
@access_options
def define(
    *,
    key: str,
    name: str,
    path: str | None,
    namespace: str | None,
    description: str,
    as_json: bool,
    access: FindAccess,
) -> None:
    """Define a property called NAME, which exports ask for by KEY.

    A KEY begins with usr_ (a user property), tag_ (a tag) or $ (an identity, which exports ask for
    with id_ or ids_ before it).
    """
    wanted = Definition(key=key, name=name, path=path, namespace=namespace, description=description)

    async def work() -> Document:
        async with Service.connect(access()) as service:
            (made,) = await definitions.define(service, [wanted])
            return made

    made = run_client(work())
    _tell(made, f"{made['key']} ({made['name']}) has the id {made['id']}", as_json=as_json)


@growingio.command()
@click.argument("key")
@access_options
def remove(*, key: str, access: FindAccess) -> None:
    """Remove the property that has a KEY."""

    async def work() -> None:
        collection = COLLECTIONS[kind_of(key)]
        async with Service.connect(access()) as service:
            project = await definitions.project(service)
            await service.delete(f"{V1}/projects/{project['id']}/{collection}/{key}")

    run_client(work())
    click.echo(f"{key} is removed")


@growingio.command()
@click.argument("name")
@click.option("--only", "keys", multiple=True, help="A key it may use; may be given several times.")
@json_option
@access_options
def space(*, name: str, keys: tuple[str, ...], as_json: bool, access: FindAccess) -> None:
    """Make a space called NAME.

    It may use all properties, also those of later; or, of each kind of which --only names some,
    those alone.
    """
    lists = {
        PropertyKind.IDENTITY: "identities",
        PropertyKind.USER: "userProperties",
        PropertyKind.TAG: "tags",
    }

    async def work() -> Document:
        allowed: dict[str, list[str]] = {}
        for key in keys:
            own = key.removeprefix(ALL_VALUES).removeprefix(LAST_VALUE)
            allowed.setdefault(lists[kind_of(own)], []).append(own)
        async with Service.connect(access()) as service:
            project = await definitions.project(service)
            made: Document = await service.post(
                f"{_portal(service, project)}/spaces", {"name": name, **allowed}
            )
            return made

    made = run_client(work())
    _tell(made, f"space {made['name']} has the id {made['id']}", as_json=as_json)


@growingio.command()
@click.argument("key")
@click.argument("name")
@json_option
@access_options
def project(*, key: str, name: str, as_json: bool, access: FindAccess) -> None:
    """Make a project called NAME: a sandbox, which other commands know by its KEY."""

    async def work() -> Document:
        async with Service.connect(access()) as service:
            made: Document = await service.post(f"{V1}/projects", {"key": key, "name": name})
            return made

    made = run_client(work())
    _tell(made, f"project {made['name']} has the id {made['id']}", as_json=as_json)


@growingio.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(sorted(each.value for each in Access)),
    help="What it may do; may be given several times. Default: all that you may.",
)
@json_option
@access_options
def token(*, name: str, scopes: tuple[str, ...], as_json: bool, access: FindAccess) -> None:
    """Make a personal token called NAME. It is shown this once, and good until it is revoked.

    Calls that name no project look into the one that is the sandbox.
    """

    async def work() -> Document:
        async with Service.connect(access()) as service:
            project = await definitions.project(service)
            asked = {"name": name, "scopes": list(scopes) or None, "projectId": project["id"]}
            made: Document = await service.post(f"{V1}/tokens", asked)
            return made

    made = run_client(work())
    _tell(made, made["token"], as_json=as_json)


@growingio.command()
@json_option
@access_options
def tokens(*, as_json: bool, access: FindAccess) -> None:
    """List your personal tokens, never what they are."""

    async def work() -> list[Document]:
        async with Service.connect(access()) as service:
            found: list[Document] = await service.get(f"{V1}/tokens")
            return found

    found = run_client(work())
    if as_json:
        print_json(found)
        return
    table = plain_table("id", "name", "made", "revoked")
    for one in found:
        table.add_row(one["id"], one["name"], one["createdAt"], one["revokedAt"] or "")
    results().print(table)


@growingio.command()
@click.argument("token_id", metavar="ID")
@access_options
def revoke(*, token_id: str, access: FindAccess) -> None:
    """Revoke the personal token that has an ID. It is refused within five seconds."""

    async def work() -> None:
        async with Service.connect(access()) as service:
            await service.delete(f"{V1}/tokens/{token_id}")

    run_client(work())
    click.echo(f"token {token_id} is revoked")


def _portal(service: Service, project: Document) -> str:
    return f"/v2/api/enterprise/{service.access.org_id}/projects/{project['id']}"


def _tell(made: Document, words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(made)
    else:
        click.echo(words)
