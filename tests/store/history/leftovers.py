"""What the database names, and what lies on the disk: all that is named, and in the end no more."""

from __future__ import annotations

from catalog.organisations import SandboxId
from catalog.store.database import Connection
from tests.store.history.disk import Disk

#: Deletes whatever a history left, past the triggers, and begins all sandboxes anew.
ANEW = """
DO $$
DECLARE
    each regclass;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR each IN SELECT oid FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            AND relname NOT IN ('schema_migrations', 'organisations', 'sandboxes', 'datasets')
            AND pg_relation_size(oid) > 0
    LOOP
        EXECUTE format('DELETE FROM %s', each);
    END LOOP;
    UPDATE sandboxes SET commit_number = 0, files_commit = 0;
END $$
"""

#: All that is a sandbox's, in a few letters.
PRINTS = """
SELECT id, md5(concat_ws(E'\\n',
    sandboxes::text,
    (SELECT string_agg(batches::text, ' ' ORDER BY id) FROM batches
      WHERE sandbox_id = sandboxes.id),
    (SELECT string_agg(jobs::text, ' ' ORDER BY id) FROM jobs WHERE sandbox_id = sandboxes.id),
    (SELECT string_agg(store_files::text || coalesce(source::text, '') || coalesce(home::text, ''),
                       ' ' ORDER BY store_files.id, number)
       FROM store_files
       LEFT JOIN store_file_sources AS source ON source.file_id = store_files.id
       LEFT JOIN home_files AS home ON home.store_file_id = store_files.id
      WHERE sandbox_id = sandboxes.id),
    (SELECT string_agg(labellings::text, ' ' ORDER BY id) FROM labellings
      WHERE sandbox_id = sandboxes.id),
    (SELECT string_agg(numberings::text, ' ' ORDER BY id) FROM numberings
      WHERE sandbox_id = sandboxes.id))) AS print
  FROM sandboxes
"""

#: Keys of files that hold what is read.
NAMED = """
SELECT key FROM store_files
UNION ALL SELECT key FROM home_files
UNION ALL SELECT key FROM labellings
UNION ALL SELECT unnest(ARRAY[key, merged_key]) FROM numberings
UNION ALL SELECT key FROM dataset_files
"""

#: Rows that nobody needs when no job is left.
SUPERSEDED = """
SELECT key FROM store_files WHERE removed IS NOT NULL
UNION ALL SELECT key FROM discarded_files
UNION ALL SELECT key FROM home_files
           WHERE NOT EXISTS (SELECT FROM store_files WHERE id = store_file_id)
"""


async def begin_anew(db: Connection) -> None:
    """Delete whatever earlier histories left."""
    await db.execute(ANEW)


async def prints(db: Connection) -> dict[SandboxId, str]:
    """Say of each sandbox how it stands: of what is equal nothing has changed."""
    return {SandboxId(row["id"]): row["print"] for row in await db.fetch(PRINTS)}


class Leftovers:
    """Compares what is named with what lies on the disk."""

    def __init__(self, db: Connection, disk: Disk) -> None:
        self._db = db
        self._disk = disk

    async def check_all_is_there(self) -> None:
        """Hold that no file is gone that a row names."""
        gone = await self._named() - self._disk.files.keys()
        assert not gone, f"{gone} are named and gone"

    async def check_nothing_is_left(self) -> None:
        """Hold that no file is left that no row names; asked when all was swept."""
        superseded = {row["key"] for row in await self._db.fetch(SUPERSEDED)}
        assert not superseded, f"{superseded} are of no use to anybody"
        left = self._disk.files.keys() - await self._named()
        assert not left, f"{left} are named by nothing"

    async def _named(self) -> set[str]:
        return {row["key"] for row in await self._db.fetch(NAMED)}
