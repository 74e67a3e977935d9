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
SELECT id, number, organisation_id, name, title, kind, is_default, created_at
  FROM sandboxes
 WHERE organisation_id = :organisation_id AND name = :name

-- name: sandbox_numbered
-- One sandbox of an organisation, by its number.
SELECT id, number, organisation_id, name, title, kind, is_default, created_at
  FROM sandboxes
 WHERE organisation_id = :organisation_id AND number = :number

-- name: sandbox_of_space
-- The sandbox of an organisation that has a space, by the number of the space.
SELECT sandboxes.id, sandboxes.number, sandboxes.organisation_id, sandboxes.name,
       sandboxes.title, sandboxes.kind, sandboxes.is_default, sandboxes.created_at
  FROM spaces
       JOIN sandboxes ON sandboxes.id = spaces.sandbox_id
                     AND sandboxes.organisation_id = spaces.organisation_id
 WHERE spaces.organisation_id = :organisation_id AND spaces.number = :number

-- name: sandbox_of_job
-- The sandbox of an organisation that has a job.
SELECT sandboxes.id, sandboxes.number, sandboxes.organisation_id, sandboxes.name,
       sandboxes.title, sandboxes.kind, sandboxes.is_default, sandboxes.created_at
  FROM jobs
       JOIN sandboxes ON sandboxes.id = jobs.sandbox_id
                     AND sandboxes.organisation_id = jobs.organisation_id
 WHERE jobs.organisation_id = :organisation_id AND jobs.id = :number

-- name: retitle
-- Gives a sandbox of an organisation another title.
UPDATE sandboxes SET title = :title
 WHERE id = :sandbox_id AND organisation_id = :organisation_id
RETURNING id, number, organisation_id, name, title, kind, is_default, created_at

-- name: list_sandboxes
-- Every sandbox of an organisation, the default first.
SELECT id, number, organisation_id, name, title, kind, is_default, created_at
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

-- name: client_by_secret
-- The client that has a secret and has not been disabled.
SELECT id, organisation_id, name, scopes
  FROM clients
 WHERE secret_hash = :secret_hash AND disabled_at IS NULL

-- name: client_names
-- What some clients of an organisation are called.
SELECT id, name
  FROM clients
 WHERE organisation_id = :organisation_id AND id = ANY (:ids::text[])

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
