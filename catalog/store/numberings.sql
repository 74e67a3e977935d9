-- name: newest
-- The last numbering of a sandbox, and whether a snapshot has the files that it was made of. Files
-- themselves would not tell: what left the store is swept.
SELECT numberings.*,
       numberings.commit_number <= :commit AND files_commit <= numberings.commit_number
       AS is_current
  FROM numberings JOIN sandboxes ON sandboxes.id = sandbox_id
 WHERE numberings.sandbox_id = :sandbox_id AND numberings.organisation_id = :organisation_id
 ORDER BY numberings.id DESC
 LIMIT 1

-- name: lock
-- Holds the row of a sandbox: of two that would give numbers, one waits.
SELECT id FROM sandboxes
 WHERE id = :sandbox_id AND organisation_id = :organisation_id
   FOR NO KEY UPDATE

-- name: save
-- Saves a numbering; nothing comes back when the one that it went on from is no longer the last,
-- so that the numbers which it gave may have been given to others meanwhile.
INSERT INTO numberings (sandbox_id, organisation_id, commit_number, key, size_bytes, row_count,
                        merged_key, merged_count, next_number)
SELECT :sandbox_id, :organisation_id, :commit, :key, :size_bytes, :row_count,
       :merged_key, :merged_count, :next_number
 WHERE (SELECT key FROM numberings
         WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
         ORDER BY id DESC LIMIT 1) IS NOT DISTINCT FROM :base_key
RETURNING *

-- name: is_last
-- Whether a numbering is the last of its sandbox.
SELECT :key = (SELECT key FROM numberings
                WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
                ORDER BY id DESC LIMIT 1) AS answer

-- name: forget
-- Forgets all but the last, and those that the plan of an unfinished job goes by.
DELETE FROM numberings
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND key <> :key
   AND NOT EXISTS (SELECT FROM plans JOIN jobs ON jobs.id = plans.job_id
                    WHERE plans.numbering = numberings.key
                      AND jobs.sandbox_id = :sandbox_id
                      AND jobs.organisation_id = :organisation_id
                      AND jobs.finished_at IS NULL)
RETURNING key
