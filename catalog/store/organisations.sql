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
-- Makes a client, or gives one of the same organisation another secret and other scopes. Finds
-- nothing when the id belongs to another organisation.
INSERT INTO clients (id, organisation_id, name, secret_hash, scopes)
VALUES (:id, :organisation_id, :name, :secret_hash, :scopes)
ON CONFLICT (id) DO UPDATE
   SET secret_hash = excluded.secret_hash, name = excluded.name, scopes = excluded.scopes
 WHERE clients.organisation_id = excluded.organisation_id
RETURNING id

-- name: find_client
-- One client that has not been disabled, with the hash its secret is checked against.
SELECT id, organisation_id, name, scopes, secret_hash
  FROM clients
 WHERE id = :id AND disabled_at IS NULL

-- name: standing
-- What there is to know of a caller, in one look: its client, if there is a row of it, and the
-- sandbox it names, if its organisation has one of that name.
SELECT clients.organisation_id AS client_organisation_id, clients.scopes,
       clients.disabled_at IS NOT NULL AS is_disabled, sandboxes.id AS sandbox_id
  FROM (VALUES (1)) AS one
       LEFT JOIN clients ON clients.id = :client_id
       LEFT JOIN sandboxes ON sandboxes.organisation_id = :organisation_id
                          AND sandboxes.name = :sandbox_name

-- name: clients_of
-- Every client of an organisation, the first made first.
SELECT id, organisation_id, name, scopes, created_at, disabled_at
  FROM clients
 WHERE organisation_id = :organisation_id
 ORDER BY created_at, id

-- name: disable
-- Shuts a client of an organisation out. Finds nothing when it has no such client.
UPDATE clients SET disabled_at = coalesce(disabled_at, now())
 WHERE id = :id AND organisation_id = :organisation_id
RETURNING id
