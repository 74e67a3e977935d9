-- name: found
-- Makes an organisation; one that exists stays as it is.
INSERT INTO organisations (id, name) VALUES (:id, :name) ON CONFLICT DO NOTHING

-- name: open_sandbox
-- Makes a sandbox of an organisation; one of that name stays as it is.
INSERT INTO sandboxes (organisation_id, name, title, kind, is_default)
VALUES (:organisation_id, :name, :title, :kind, :is_default)
ON CONFLICT ON CONSTRAINT a_sandbox_has_one_name DO NOTHING

-- name: find_sandbox
-- One sandbox of an organisation, by the name callers use.
SELECT id, organisation_id, name, title, kind, is_default, created_at
  FROM sandboxes
 WHERE organisation_id = :organisation_id AND name = :name

-- name: list_sandboxes
-- Every sandbox of an organisation, the default first.
SELECT id, organisation_id, name, title, kind, is_default, created_at
  FROM sandboxes
 WHERE organisation_id = :organisation_id
 ORDER BY is_default DESC, name

-- name: enrol
-- Makes a client, or gives one of the same organisation another secret. Finds nothing when the
-- id belongs to another organisation.
INSERT INTO clients (id, organisation_id, name, secret_hash, scopes)
VALUES (:id, :organisation_id, :name, :secret_hash, :scopes)
ON CONFLICT (id) DO UPDATE SET secret_hash = excluded.secret_hash
 WHERE clients.organisation_id = excluded.organisation_id
RETURNING id

-- name: find_client
-- One client that has not been disabled, with the hash its secret is checked against.
SELECT id, organisation_id, name, scopes, secret_hash
  FROM clients
 WHERE id = :id AND disabled_at IS NULL

-- name: is_disabled
-- Whether a client is known and was shut out.
SELECT EXISTS (SELECT FROM clients WHERE id = :id AND disabled_at IS NOT NULL) AS answer
