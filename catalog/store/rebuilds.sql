-- Store files that lack rows: some were left out for the sake of a batch that was taken back later,
-- while a batch is left that may have had them. They are made anew from the data set's own files.

-- name: lacking
-- Data sets whose store files lack rows since a commit, because of what it took back or compacted.
SELECT DISTINCT dataset_id
  FROM store_files JOIN store_file_gaps AS gap ON gap.file_id = store_files.id
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND store_files.removed IS NULL
   AND gap.until IS NULL
   AND (gap.since = :commit OR (gap.since < :commit AND store_files.added = :commit))
 ORDER BY dataset_id

-- name: left
-- Data sets of all sandboxes whose store files lack rows and whose rebuild has failed, or was
-- cancelled, a while ago: for those who keep the store in order, never for callers.
SELECT DISTINCT store_files.sandbox_id, store_files.organisation_id,
       sandboxes.name AS sandbox_name, dataset_id
  FROM store_files
  JOIN store_file_gaps AS gap ON gap.file_id = store_files.id
  JOIN sandboxes ON sandboxes.id = store_files.sandbox_id
 WHERE store_files.removed IS NULL
   AND gap.until IS NULL
   AND NOT EXISTS (SELECT FROM jobs
                    WHERE kind = 'rebuild'
                      AND jobs.dataset_id = store_files.dataset_id
                      AND (jobs.finished_at IS NULL
                           OR jobs.finished_at > now() - :patience::interval))
 ORDER BY store_files.sandbox_id, dataset_id

-- name: submitted_at
-- The rebuild of a data set that a commit made necessary.
SELECT id FROM jobs
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND kind = 'rebuild'
   AND dataset_id = :dataset_id
   AND snapshot = :commit

-- name: lacking_at
-- Data sets whose store files lack rows in a snapshot.
SELECT DISTINCT dataset_id
  FROM store_files JOIN store_file_gaps_at(:commit) AS gap ON gap.file_id = store_files.id
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND store_files.added <= :commit
   AND (store_files.removed IS NULL OR store_files.removed > :commit)
 ORDER BY dataset_id

-- name: batches
-- The batches whose rows lie in files that lack rows at a commit, the kinds of these files, and since
-- when each is to be made anew. A file that a compaction made of such a one meanwhile lacks the same.
--
-- That is as early as the file began to lack rows, if none of the data set's snapshots from then to
-- the commit has all rows: nobody has read them, and who pinned one waits for it. Not before a batch
-- was taken back whose own files are gone by now, without which nobody can go on there.
WITH lacking AS (
    SELECT store_files.id, store_files.kind, min(gap.since) AS since
      FROM store_files JOIN store_file_gaps_at(:commit) AS gap ON gap.file_id = store_files.id
     WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
       AND dataset_id = :dataset_id
       AND (store_files.removed IS NULL OR store_files.removed > :commit)
     GROUP BY store_files.id
), stretches AS (
    SELECT unnest(range_agg(int8range(greatest(store_files.added, gap.since),
                                      least(store_files.removed, gap.until)))) AS snapshots
      FROM store_files JOIN store_file_gaps AS gap ON gap.file_id = store_files.id
     WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
       AND dataset_id = :dataset_id
       AND (greatest(store_files.added, gap.since) >= least(store_files.removed, gap.until))
           IS NOT TRUE
), dated AS (
    SELECT id, kind,
           greatest(since,
                    coalesce((SELECT lower(snapshots) FROM stretches
                               WHERE snapshots @> :commit::bigint), :commit),
                    (SELECT max(source.removed)
                       FROM store_file_sources AS source
                       JOIN batches ON batches.id = source.batch_id
                      WHERE source.file_id = lacking.id
                        AND source.removed <= :commit
                        AND batches.deleted_at IS NULL
                        AND NOT EXISTS (SELECT FROM dataset_files
                                         WHERE dataset_files.batch_id = batches.id))) AS since
      FROM lacking
), by_kind AS (
    SELECT source.batch_id, source.is_upsert, source.ingest_number, dated.kind,
           min(dated.since) AS since
      FROM dated
      JOIN store_file_sources AS source ON source.file_id = dated.id
      JOIN batches ON batches.id = source.batch_id
     WHERE (source.removed IS NULL OR source.removed > dated.since)
       AND batches.deleted_at IS NULL
     GROUP BY source.batch_id, source.is_upsert, source.ingest_number, dated.kind
)
SELECT batch_id, is_upsert, jsonb_object_agg(kind, since) AS since
  FROM by_kind
 GROUP BY batch_id, is_upsert, ingest_number
 ORDER BY ingest_number

-- name: dataset_files
-- The files of a batch that readers of its data set find, or would find if it were active.
SELECT dataset_files.name, dataset_files.key, dataset_files.size_bytes
  FROM dataset_files JOIN batches ON batches.id = dataset_files.batch_id
 WHERE batches.id = :batch_id
   AND batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
 ORDER BY dataset_files.number

-- name: discard_kept
-- Forgets what a rebuild has kept of a batch.
DELETE FROM rebuilt_files WHERE job_id = :job_id AND batch_id = :batch_id

-- name: keep
-- Records the files that a rebuild has made of a batch.
INSERT INTO rebuilt_files (job_id, batch_id, kind, attempt, engine_version, key, size_bytes,
                           row_count)
SELECT :job_id, :batch_id, file.kind, :attempt, :engine_version, file.key, file.size_bytes,
       file.row_count
  FROM unnest(:kinds::text[], :keys::text[], :sizes::bigint[], :rows::bigint[])
           AS file (kind, key, size_bytes, row_count)

-- name: kept
-- The files that earlier attempts of a rebuild have made, by the same engine.
SELECT batch_id, kind, key, size_bytes, row_count
  FROM rebuilt_files
 WHERE job_id = :job_id AND engine_version = :engine_version
 ORDER BY batch_id, kind

-- name: strangers
-- Whether files that hold one of some batches hold another, too, that counts after a commit.
SELECT EXISTS (
       SELECT FROM store_files
         JOIN store_file_sources AS source ON source.file_id = store_files.id
         JOIN batches ON batches.id = source.batch_id
        WHERE store_files.sandbox_id = :sandbox_id
          AND store_files.organisation_id = :organisation_id
          AND store_files.dataset_id = :dataset_id
          AND store_files.kind = :kind
          AND (store_files.removed IS NULL OR store_files.removed > :commit)
          AND (source.removed IS NULL OR source.removed > :commit)
          AND batches.deleted_at IS NULL
          AND source.batch_id <> ALL (:batch_ids::text[])
          AND EXISTS (SELECT FROM store_file_sources AS rebuilt
                       WHERE rebuilt.file_id = store_files.id
                         AND rebuilt.batch_id = ANY (:batch_ids))) AS answer

-- name: add
-- Adds a file that holds what one batch has in files that lack rows, as if it had been there from
-- a commit on. A batch that was taken back since leaves when it did.
INSERT INTO store_files (sandbox_id, organisation_id, dataset_id, batch_id, kind, key, size_bytes,
                         row_count, is_upsert, ingest_number, ingested_at, added, removed)
SELECT store_files.sandbox_id, store_files.organisation_id, store_files.dataset_id,
       source.batch_id, store_files.kind, :key, :size_bytes, :row_count, source.is_upsert,
       source.ingest_number, source.ingested_at, :commit, source.removed
  FROM store_files JOIN store_file_sources AS source ON source.file_id = store_files.id
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND store_files.kind = :kind
   AND source.batch_id = :batch_id
   AND (store_files.removed IS NULL OR store_files.removed > :commit)
   AND (source.removed IS NULL OR source.removed > :commit)
 ORDER BY store_files.added DESC
 LIMIT 1
RETURNING id

-- name: replace
-- Takes files that hold some batches out of the snapshots from a commit on.
UPDATE store_files SET removed = :commit, is_replaced = true
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND dataset_id = :dataset_id
   AND kind = :kind
   AND added < :commit
   AND (removed IS NULL OR removed > :commit)
   AND (batch_id = ANY (:batch_ids::text[])
        OR EXISTS (SELECT FROM store_file_sources
                    WHERE file_id = id AND store_file_sources.batch_id = ANY (:batch_ids)))
RETURNING id

-- name: forget
-- Forgets compacted files of some batches that were added since a commit: nobody has read them.
DELETE FROM store_files
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND dataset_id = :dataset_id
   AND kind = :kind
   AND added >= :commit
   AND batch_id IS NULL
   AND EXISTS (SELECT FROM store_file_sources
                WHERE file_id = id AND store_file_sources.batch_id = ANY (:batch_ids::text[]))
RETURNING id
