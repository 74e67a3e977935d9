-- name: named_keys
-- Every stored file that some row names.
SELECT key FROM uploads
UNION ALL SELECT key FROM chunks
UNION ALL SELECT key FROM dataset_files
UNION ALL SELECT key FROM store_files
UNION ALL SELECT key FROM labellings
UNION ALL SELECT key FROM home_files
UNION ALL SELECT key FROM membership_files
UNION ALL SELECT unnest(ARRAY[key, merged_key]) FROM numberings
UNION ALL SELECT key FROM user_list_pieces
UNION ALL SELECT key FROM meta_files
UNION ALL SELECT key FROM plans
UNION ALL SELECT key FROM parts
UNION ALL SELECT key FROM rebuilt_files
UNION ALL SELECT exclusions FROM parts WHERE exclusions IS NOT NULL

-- name: discarded_keys
-- Stored files that no row names any more and that are about to be removed.
SELECT key FROM discarded_files

-- name: folder_keys
-- Folders that something is being written below, or that are swept until nobody can be.
SELECT key FROM folders

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
