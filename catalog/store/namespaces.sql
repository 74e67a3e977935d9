-- name: registered
-- The custom namespaces of a sandbox, in the order they were registered.
SELECT code, id, name, description, id_type, created_at, updated_at
  FROM namespaces
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
 ORDER BY id

-- name: register
-- Registers a namespace, or finds that its code is taken in some spelling and returns nothing.
INSERT INTO namespaces (sandbox_id, organisation_id, code, lower_code, name, description, id_type)
VALUES (:sandbox_id, :organisation_id, :code, :lower_code, :name, :description, :id_type)
ON CONFLICT ON CONSTRAINT a_namespace_code_is_taken_in_any_spelling DO NOTHING
RETURNING code, id, name, description, id_type, created_at, updated_at

-- name: register_seen
-- Registers codes that data used before anyone registered them. Those that are known are left
-- out before the insert, so that batch after batch does not use up numbers.
INSERT INTO namespaces (sandbox_id, organisation_id, code, lower_code, name, id_type)
SELECT :sandbox_id, :organisation_id, code, lower_code, code, :id_type
  FROM unnest(:codes::text[], :lower_codes::text[]) AS seen (code, lower_code)
 WHERE NOT EXISTS (SELECT FROM namespaces
                    WHERE namespaces.sandbox_id = :sandbox_id
                      AND namespaces.organisation_id = :organisation_id
                      AND namespaces.lower_code = seen.lower_code)
ON CONFLICT ON CONSTRAINT a_namespace_code_is_taken_in_any_spelling DO NOTHING
