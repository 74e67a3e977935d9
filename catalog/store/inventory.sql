-- name: named_keys
-- Every stored file that some row names.
SELECT key FROM uploads
UNION ALL SELECT key FROM chunks
UNION ALL SELECT key FROM dataset_files
UNION ALL SELECT key FROM store_files
UNION ALL SELECT key FROM meta_files
UNION ALL SELECT key FROM plans
UNION ALL SELECT key FROM parts

-- name: plan_keys
-- Plans: other files beside one belong to it, and only the plan names them.
SELECT key FROM plans

-- name: unfinished_jobs
-- Jobs whose files are still being written, or will be.
SELECT id FROM jobs WHERE state IN ('queued', 'running')

-- name: leases
-- Who works on what, and until when that is believed.
SELECT id, kind, worker_id, attempt, lease_expires_at, lease_expires_at < now() AS is_expired
  FROM jobs
 WHERE state = 'running'
 ORDER BY id

-- name: is_migrated
-- Whether the database has ever been migrated.
SELECT to_regclass('schema_migrations') IS NOT NULL AS answer

-- name: migrations
-- What the schema was made by, oldest first.
SELECT name FROM schema_migrations ORDER BY number

-- name: server
-- Which PostgreSQL this is, and how large its database has grown.
SELECT current_setting('server_version') AS version,
       current_database()::text AS name,
       pg_database_size(current_database()) AS size_bytes
