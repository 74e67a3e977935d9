-- name: add
-- Adds what is told about a batch; asked in the transaction that ends it.
INSERT INTO meta_files (batch_id, path, key, size_bytes, sha256)
VALUES (:batch_id, :path, :key, :size_bytes, :sha256)

-- name: of_batch
-- What readers are told about a batch, in the order of the paths; nothing once it was taken back.
SELECT path, key, size_bytes, sha256
  FROM meta_files JOIN batches ON batches.id = meta_files.batch_id
 WHERE batches.id = :batch_id
   AND batches.sandbox_id = :sandbox_id AND batches.organisation_id = :organisation_id
   AND batches.state IN ('active', 'failed')
 ORDER BY path
