-- name: lock
-- Lets one process at a time decide whether a new key is due; readers are not held up.
LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE

-- name: published
-- Every key a token may still be signed with, the newest first: that one signs.
SELECT kid, private_jwk, created_at, now() - created_at AS age
  FROM signing_keys
 WHERE retired_at IS NULL
 ORDER BY created_at DESC, kid

-- name: add
-- Adds a key, which signs from now on.
INSERT INTO signing_keys (kid, private_jwk, created_at)
VALUES (:kid, :private_jwk, clock_timestamp())

-- name: retire
-- Withdraws the keys whose tokens have all expired.
UPDATE signing_keys SET retired_at = now()
 WHERE retired_at IS NULL AND created_at < now() - :older_than::interval
