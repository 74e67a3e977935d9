-- name: add
-- Keeps a new token of a client by its hash.
INSERT INTO personal_tokens (sandbox_id, organisation_id, client_id, name, token_hash, scopes)
VALUES (:sandbox_id, :organisation_id, :client_id, :name, :token_hash, :scopes)
RETURNING number, client_id, name, scopes, :sandbox_name::text AS sandbox_name, created_at,
          revoked_at

-- name: bearer
-- Who calls with a token that was not revoked, and what is left of what its client may: null where
-- the client has no row, nothing where it was disabled.
SELECT personal_tokens.client_id, personal_tokens.organisation_id, personal_tokens.sandbox_id,
       sandboxes.name AS sandbox_name, personal_tokens.scopes, clients.scopes AS client_scopes,
       clients.disabled_at IS NOT NULL AS is_disabled
  FROM personal_tokens
       JOIN sandboxes ON sandboxes.id = personal_tokens.sandbox_id
       LEFT JOIN clients ON clients.id = personal_tokens.client_id
                        AND clients.organisation_id = personal_tokens.organisation_id
 WHERE personal_tokens.token_hash = :token_hash AND personal_tokens.revoked_at IS NULL

-- name: all
-- The tokens of a client, the first made first.
SELECT personal_tokens.number, client_id, personal_tokens.name, scopes,
       sandboxes.name AS sandbox_name, personal_tokens.created_at, revoked_at
  FROM personal_tokens
       JOIN sandboxes ON sandboxes.id = personal_tokens.sandbox_id
 WHERE personal_tokens.organisation_id = :organisation_id
   AND personal_tokens.client_id = :client_id
 ORDER BY personal_tokens.number

-- name: revoke
-- Takes a token of a client out of use. Doing it again is fine.
UPDATE personal_tokens
   SET revoked_at = coalesce(revoked_at, now())
 WHERE organisation_id = :organisation_id AND client_id = :client_id AND number = :number
RETURNING number
