"""Who the private PostgreSQL runs as, and where that user can get to.

PostgreSQL refuses to run as root. Started by root it therefore runs as an unprivileged user,
who may be unable to reach what lies below a directory of root's own, such as a clone in
``/root``. Then a *place* is used that root owns and everybody can enter.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.store.obstacles import Obstacle

#: Where a place may be made, best first. The last two are cleaned by some systems: better
#: than not starting, and ``doctor`` tells where the database lies.
PLACES = ("/var/lib", "/opt", "/var/tmp", "/tmp")  # noqa: S108 - owner and mode are checked
PLACE_NAME = "profile-exports"

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user other than ourselves that a program is to run as."""

    name: str
    uid: int
    gid: int

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a short program as this user and return what it said."""
        return subprocess.run(  # noqa: S603
            list(command),
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )

    def can_enter(self, directory: Path) -> bool:
        """Whether this user may go there, asked of the system: modes alone do not tell."""
        return self.run("/bin/sh", "-c", 'cd "$1"', "sh", directory).returncode == 0


def name_of(uid: int) -> str:
    """The user's name, or its number when the machine knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def unprivileged(environment: Mapping[str, str] = os.environ) -> Account | None:
    """Choose who the server runs as: ourselves (None), or for root ``PG_RUN_AS`` or a usual user.

    Raises :class:`Obstacle` when root has nobody to hand the server to.
    """
    if os.geteuid() != 0:
        return None
    wanted = environment.get("PG_RUN_AS")
    for name in [wanted] if wanted else ["postgres", "nobody"]:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        if user.pw_uid != 0:
            return _become(Account(name=name, uid=user.pw_uid, gid=user.pw_gid))
    missing = (
        f"PG_RUN_AS={wanted} is not an unprivileged user of this machine"
        if wanted
        else ("there is neither a user postgres nor a user nobody to run it as")
    )
    raise Obstacle(
        f"PostgreSQL does not run as root, and {missing}. Make one with "
        "'useradd --system postgres', name another in PG_RUN_AS, or set DATABASE_URL."
    )


def _become(account: Account) -> Account:
    try:
        account.run("/bin/sh", "-c", ":")
    except OSError as error:
        raise Obstacle(
            f"PostgreSQL does not run as root, and root may not become {account.name} here "
            f"({error.strerror}): this container lacks CAP_SETUID or knows no second user. "
            "Start it as an ordinary user, or set DATABASE_URL."
        ) from error
    return account


def place_for(account: Account) -> Path:
    """Find or make a directory that root owns, nobody else can change, and ``account`` can enter.

    What lies ready under a name we would use is only trusted when root owns it and others
    cannot write to it: in ``/tmp`` anybody could have prepared it.
    """
    for base in map(Path, PLACES):
        place = base / PLACE_NAME
        try:
            if not is_safe(base, sticky=True):
                continue
            place.mkdir(mode=0o755, exist_ok=True)
            if is_safe(place):
                place.chmod(0o755)  # whatever the umask left of it
                if account.can_enter(place):
                    return place
        except OSError:
            continue
    raise Obstacle(
        f"the user {account.name} cannot enter this folder, and root cannot make one it could "
        f"enter below {', '.join(PLACES)}. Choose a --data-dir that it can enter, name another "
        "user in PG_RUN_AS, or set DATABASE_URL."
    )


def is_safe(directory: Path, *, sticky: bool = False) -> bool:
    """Whether it is a directory of ours that others cannot change. ``sticky`` allows ``/tmp``."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, os.geteuid()):
        return False
    if sticky and found.st_mode & stat.S_ISVTX:
        return True
    return not found.st_mode & _WRITABLE_BY_OTHERS
