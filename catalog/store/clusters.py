"""Makes the directory a private PostgreSQL keeps its database in, and looks into one.

What runs on it is :mod:`~catalog.store.embedded`'s affair.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from catalog.store import leash
from catalog.store.accounts import Account, name_of, place_for
from catalog.store.binaries import Binaries
from catalog.store.obstacles import Obstacle

#: Since 17 PostgreSQL brings a UTF-8 locale of its own, the same on every machine. Before, the
#: system's C.UTF-8 may be missing, and C sorts as it does.
_OWN_LOCALE_SINCE = 17


def make(
    data: Path, programs: Binaries, account: Account | None, *, role: str, password: Path
) -> None:
    """Make a new cluster at ``data``, whole or not at all; ``password`` is a file's path."""
    for abandoned in data.parent.glob("new-*"):
        shutil.rmtree(abandoned)
    fresh = Path(tempfile.mkdtemp(prefix="new-", dir=data.parent))
    secret = fresh / "password"
    secret.touch(mode=0o600)
    secret.write_bytes(password.read_bytes())
    cluster = fresh / "data"
    cluster.mkdir(mode=0o700)
    if account is not None:
        for path in (fresh, secret, cluster):
            os.chown(path, account.uid, account.gid)
    _initdb(
        programs,
        account,
        f"--pgdata={cluster}",
        f"--username={role}",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-instructions",
    )
    cluster.rename(data)
    shutil.rmtree(fresh)


def room_elsewhere(folder: Path, account: Account) -> Path:
    """Make room for the database of ``folder`` where ``account`` can reach it, and say where."""
    databases = place_for(account) / "databases"
    databases.mkdir(exist_ok=True)
    databases.chmod(0o755)
    _remove_abandoned(databases)
    home = Path(tempfile.mkdtemp(prefix="profile-exports-", dir=databases))
    home.chmod(0o711)
    (home / "folder").write_text(f"{folder}\n", encoding="utf-8")
    return home / "data"


def _remove_abandoned(databases: Path) -> None:
    """Remove databases of temporary folders that are gone, as tests and demos leave them.

    Of no others: a folder that is not mounted looks like one that is gone.
    """
    temporary = Path(tempfile.gettempdir()).resolve()
    for note in databases.glob("*/folder"):
        folder = Path(note.read_text(encoding="utf-8").rstrip("\n"))
        is_gone = folder.is_relative_to(temporary) and not folder.exists()
        if is_gone and not processes_in(note.parent / "data"):
            shutil.rmtree(note.parent, ignore_errors=True)


def _initdb(programs: Binaries, account: Account | None, *options: str) -> None:
    own_locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    running = leash.start(
        [
            programs / "initdb",
            *options,
            *(own_locale if programs.major >= _OWN_LOCALE_SINCE else ()),
        ],
        last_signal=signal.SIGKILL,
        uid=account.uid if account else leash.SAME,
        gid=account.gid if account else leash.SAME,
        environment=environment(),
        output=subprocess.PIPE,
    )
    said, _ = running.communicate()
    if running.returncode != 0:
        raise Obstacle(f"initdb failed:\n{said.decode(errors='replace').strip()}")


def environment() -> dict[str, str]:
    """What PostgreSQL's programs see of ours: no locale that may be missing, no ``PG*``."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}


def exists(data: Path) -> bool:
    return (data / "PG_VERSION").is_file()


def owner(data: Path) -> Account | None:
    """The user a cluster belongs to, who alone can run it; None when that is ourselves.

    Raises :class:`Obstacle` when it is another and we are not root.
    """
    found = data.stat()
    if found.st_uid == os.geteuid():
        return None
    name = name_of(found.st_uid)
    if os.geteuid() != 0:
        raise Obstacle(f"{data} belongs to {name}: run this as {name}, or choose another folder")
    return Account(name=name, uid=found.st_uid, gid=found.st_gid)


def refuse_other_version(data: Path, programs: Binaries, *, role: str, password: Path) -> None:
    """Refuse a cluster of another major version, with the recipe for moving it."""
    made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if made_by == str(programs.major):
        return
    raise Obstacle(
        f"{data} was made by PostgreSQL {made_by}, and {programs.directory} is "
        f"{programs.major}. Go on with the old programs by setting PG_BINDIR to their directory "
        f"(such as /usr/lib/postgresql/{made_by}/bin). Or move the data: start the service with "
        f"the old PG_BINDIR; 'PGPASSWORD=$(cat {password}) pg_dump -h {data} -U {role} -Fc "
        f"postgres > moved.dump'; stop it; rename {password.parent}; start the service without "
        f"PG_BINDIR; and 'pg_restore --clean --if-exists -d postgres moved.dump' with its new "
        "password and directory."
    )


def processes_in(data: Path) -> list[int]:
    """Servers at work in ``data``, whoever started them. Empty where there is no ``/proc``.

    A pid in ``postmaster.pid`` proves nothing: after a restart of the machine it may be
    anybody's. PostgreSQL's processes all stand in their data directory.
    """
    return [int(process.name) for process in _postgres_processes() if _stands_in(process, data)]


def _postgres_processes() -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text(encoding="utf-8").strip() == "postgres":
                yield process
        except OSError:
            continue  # it ended while we looked


def _stands_in(process: Path, data: Path) -> bool:
    try:
        return (process / "cwd").readlink() == data
    except OSError:
        return False


def ignoring_stale_pid(data: Path) -> Mapping[str, str]:
    """Settings of the environment under which PostgreSQL takes ``postmaster.pid`` for stale.

    Only for who knows that no server runs here: a pid used again by an unrelated process
    would keep PostgreSQL from starting. It is told that the pid is its grandparent's, as
    ``pg_ctl`` does, and still checks the shared memory of the crashed server itself; had
    we removed the file, it could not.
    """
    try:
        pid = (data / "postmaster.pid").read_text(encoding="ascii").split()[0]
    except (FileNotFoundError, IndexError):
        return {}
    return {"PG_GRANDPARENT_PID": pid}
