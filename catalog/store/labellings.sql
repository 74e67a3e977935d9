-- name: newest
-- The newest labelling that is valid for a snapshot.
SELECT * FROM labellings
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND engine_version = :engine_version
   AND commit_number <= :commit
   AND (discarded IS NULL OR discarded > :commit)
 ORDER BY commit_number DESC
 LIMIT 1

-- name: lock
-- Holds the row that removals take their commit number from: what is removed from now on finds
-- the labelling and discards it.
SELECT id FROM sandboxes
 WHERE id = :sandbox_id AND organisation_id = :organisation_id
   FOR NO KEY UPDATE

-- name: save
-- Saves a labelling; nothing comes back when its snapshot has one. What was removed since its
-- snapshot is seen to here, by the batches that the snapshot's files have: the file that a batch was
-- removed from may be a compacted one, which came later and is swept by now. It does not matter when
-- that was, so the labelling serves its own snapshot alone.
INSERT INTO labellings (sandbox_id, organisation_id, commit_number, discarded, engine_version,
                        main_dataset_id, key, size_bytes, row_count)
SELECT :sandbox_id, :organisation_id, :commit,
       (SELECT :commit::bigint + 1
         WHERE EXISTS (SELECT FROM store_files
                         LEFT JOIN store_file_sources AS source ON source.file_id = store_files.id
                         JOIN batches
                           ON batches.id = coalesce(source.batch_id, store_files.batch_id)
                        WHERE store_files.sandbox_id = :sandbox_id
                          AND store_files.organisation_id = :organisation_id
                          AND kind IN ('links', 'records')
                          AND store_files.added <= :commit
                          AND (store_files.removed IS NULL OR store_files.removed > :commit)
                          AND (source.removed IS NULL OR source.removed > :commit)
                          AND batches.state = 'inactive')),
       :engine_version, :main_dataset_id, :key, :size_bytes, :row_count
ON CONFLICT ON CONSTRAINT a_snapshot_has_one_labelling DO NOTHING
RETURNING *

-- name: forget
-- Forgets labellings that were discarded or have a newer one beside them, of their engine or saved
-- later by another: that of an engine that is gone would stay for ever. Those stay that an unfinished
-- export may have planned with, and those that home files were written by. The job that has just
-- saved one for a commit reads that one and none before it.
DELETE FROM labellings
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (discarded IS NOT NULL
        OR EXISTS (SELECT FROM labellings AS newer
                    WHERE newer.sandbox_id = :sandbox_id
                      AND newer.organisation_id = :organisation_id
                      AND newer.commit_number > labellings.commit_number
                      AND (newer.engine_version = labellings.engine_version
                           OR newer.id > labellings.id)
                      AND newer.discarded IS NULL))
   AND NOT EXISTS (SELECT FROM home_files WHERE labelling_key = labellings.key)
   AND NOT EXISTS (SELECT FROM jobs
                    WHERE jobs.sandbox_id = :sandbox_id
                      AND jobs.organisation_id = :organisation_id
                      AND jobs.finished_at IS NULL
                      AND jobs.snapshot >= labellings.commit_number
                      AND NOT (jobs.id IS NOT DISTINCT FROM :job_id
                               AND labellings.commit_number < :commit))
RETURNING key

-- name: discard
-- Ends the validity of labellings that know a link or a record which a commit removed.
UPDATE labellings SET discarded = :commit
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND commit_number < :commit AND discarded IS NULL
   AND EXISTS (SELECT FROM store_files
                WHERE store_files.sandbox_id = :sandbox_id
                  AND store_files.organisation_id = :organisation_id
                  AND kind IN ('links', 'records')
                  AND ((removed = :commit AND NOT is_replaced
                        AND added <= labellings.commit_number)
                       OR EXISTS (SELECT FROM store_file_sources AS source
                                   WHERE source.file_id = store_files.id
                                     AND source.removed = :commit
                                     AND source.added <= labellings.commit_number)))
RETURNING key

-- name: discard_before
-- Ends the validity of all labellings that were saved for earlier commits, by then.
UPDATE labellings SET discarded = :commit
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND commit_number < :commit AND (discarded IS NULL OR discarded > :commit)
RETURNING key
