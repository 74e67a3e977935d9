-- name: keep
-- Stores a secret under a name that has none yet.
INSERT INTO deployment_secrets (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING

-- name: find
-- The secret of a name.
SELECT value FROM deployment_secrets WHERE name = :name
