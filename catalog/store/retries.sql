-- name: claim
-- Takes a key for the first call that names it, and waits for one that is taking it just now. Finds
-- nothing when the key stands for an answer.
INSERT INTO kept_answers (sandbox_id, organisation_id, operation, key, request_digest, expires_at)
VALUES (:sandbox_id, :organisation_id, :operation, :key, :digest, now() + :lasts::interval)
    ON CONFLICT (sandbox_id, operation, key) DO UPDATE
   SET request_digest = excluded.request_digest,
       status = NULL,
       headers = NULL,
       body = NULL,
       created_at = now(),
       expires_at = excluded.expires_at
 WHERE kept_answers.expires_at <= now()
RETURNING key

-- name: find
-- What a key stands for.
SELECT request_digest, status, headers, body
  FROM kept_answers
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND operation = :operation AND key = :key

-- name: keep
-- Keeps the answer that a key stands for from now on.
UPDATE kept_answers
   SET status = :status, headers = :headers, body = :body
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND operation = :operation AND key = :key
