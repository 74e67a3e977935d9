-- name: begin
-- Opens a file that is sent in chunks.
INSERT INTO large_files (batch_id, path) VALUES (:batch_id, :path)
RETURNING path

-- name: find
-- What is known of a file that is sent in chunks.
SELECT path, completed_at IS NOT NULL AS is_complete
  FROM large_files WHERE batch_id = :batch_id AND path = :path

-- name: chunks
-- What has come of a file, by the place of the first byte.
SELECT first_byte, size_bytes, total_bytes, key
  FROM chunks WHERE batch_id = :batch_id AND path = :path
 ORDER BY first_byte

-- name: keep_chunk
-- Names the bytes that came for a place in a file, and says which key they replace, if any.
-- Asked with the batch's row locked, so that of two repeats each replaces the one before.
WITH earlier AS (
    SELECT key FROM chunks
     WHERE batch_id = :batch_id AND path = :path AND first_byte = :first_byte
)
INSERT INTO chunks (batch_id, path, first_byte, size_bytes, total_bytes, key)
VALUES (:batch_id, :path, :first_byte, :size_bytes, :total_bytes, :key)
ON CONFLICT (batch_id, path, first_byte) DO UPDATE
   SET size_bytes = excluded.size_bytes,
       total_bytes = excluded.total_bytes,
       key = excluded.key
RETURNING (SELECT key FROM earlier) AS replaced_key

-- name: complete
-- Notes that a file was joined from its chunks.
UPDATE large_files SET completed_at = now()
 WHERE batch_id = :batch_id AND path = :path
RETURNING path

-- name: drop_chunks
-- Forgets what came of a file, and says where it lies.
DELETE FROM chunks WHERE batch_id = :batch_id AND path = :path
RETURNING key

-- name: forget
-- Forgets a file that is sent in chunks; its chunks are gone already.
DELETE FROM large_files WHERE batch_id = :batch_id AND path = :path
RETURNING path

-- name: unfinished
-- The files of a batch that were begun and not completed.
SELECT path FROM large_files
 WHERE batch_id = :batch_id AND completed_at IS NULL
 ORDER BY path
