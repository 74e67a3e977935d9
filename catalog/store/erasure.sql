-- name: keep
-- Keeps everything of a sandbox from being erased until the transaction ends. Whoever begins
-- something that reads or fills a data set asks for it first, so that an erasure sees it.
SELECT pg_advisory_xact_lock_shared(hashtext('erasure'), hashtext(:sandbox_id::uuid::text))

-- name: begin
-- Waits for whoever keeps the sandbox, and lets nobody begin until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('erasure'), hashtext(:sandbox_id::uuid::text))

-- name: batches_of
-- The batches of a data set.
SELECT id FROM batches
 WHERE dataset_id = :dataset_id
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND deleted_at IS NULL

-- name: lock_jobs
-- The unfinished jobs that fill one of some batches, or pinned a snapshot that has rows of one;
-- held against every change until the transaction ends. Not rebuilds: others wait for them, and one
-- that has read a batch that is erased by now begins anew.
SELECT jobs.*, sandboxes.name AS sandbox_name
  FROM jobs JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
 WHERE jobs.sandbox_id = :sandbox_id AND jobs.organisation_id = :organisation_id
   AND jobs.state IN ('queued', 'running')
   AND jobs.kind <> 'rebuild'
   AND (EXISTS (SELECT FROM batches
                 WHERE batches.job_id = jobs.id AND batches.id = ANY (:batch_ids::text[]))
        OR EXISTS (SELECT FROM store_files
                    WHERE store_files.sandbox_id = :sandbox_id
                      AND store_files.organisation_id = :organisation_id
                      AND (store_files.batch_id = ANY (:batch_ids)
                           OR EXISTS (SELECT FROM store_file_sources AS source
                                       WHERE source.file_id = store_files.id
                                         AND source.batch_id = ANY (:batch_ids)
                                         AND (source.removed IS NULL
                                              OR source.removed > jobs.snapshot)))
                      AND store_files.added <= jobs.snapshot
                      AND (store_files.removed IS NULL OR store_files.removed > jobs.snapshot)))
 ORDER BY jobs.id
   FOR UPDATE OF jobs

-- name: erase
-- Hides batches for good: from readers, whose files they had, and from callers. Those that had not
-- ended are given up. The files stay named until the sweeper takes them.
WITH erased AS (
    UPDATE batches
       SET state = CASE WHEN state = ANY (:shown::text[]) THEN :withdrawn::text
                        WHEN state = ANY (:unfinished::text[]) THEN :given_up::text
                        ELSE state END,
           finished_at = coalesce(finished_at, now()),
           deleted_at = now(),
           version = version + 1,
           updated_by = :actor,
           updated_at = now()
     WHERE id = ANY (:batch_ids::text[])
       AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id
       AND deleted_at IS NULL
 RETURNING id, state
), noted AS (
    INSERT INTO batch_events (batch_id, event, state, actor)
    SELECT id, 'delete', state, :actor FROM erased
)
SELECT id FROM erased
