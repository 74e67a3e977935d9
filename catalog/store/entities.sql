-- name: commit
-- The last commit number of a sandbox. No lock: a look-up that finds a file gone asks again.
SELECT commit_number FROM sandboxes
 WHERE id = :sandbox_id AND organisation_id = :organisation_id

-- name: batches
-- Batches by their places in merge order.
SELECT ingest_number, id, dataset_id, finished_at, updated_at FROM batches
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND ingest_number = ANY (:ingest_numbers::bigint[])
