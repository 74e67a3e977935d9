-- name: note
-- Adds one entry.
INSERT INTO audit_entries (sandbox_id, organisation_id, actor, action, object_kind, object_id,
                           request_id, details)
VALUES (:sandbox_id, :organisation_id, :actor, :action, :object_kind, :object_id, :request_id,
        :details)

-- name: queue_up
-- Lets one client's calls for one file through one after the other until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))

-- name: is_noted
-- Whether a client began a download of a file this recently.
SELECT EXISTS (SELECT FROM audit_entries
                WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
                  AND object_id = :object_id AND actor = :actor AND action = 'download'
                  AND at > now() - :within::interval) AS answer

-- name: page
-- The entries that pass a filter, the newest first, behind the one a cursor names.
SELECT id, at, actor, action, object_kind, object_id, request_id, details
  FROM audit_entries
 WHERE sandbox_id = :sandbox_id AND organisation_id = :organisation_id
   AND (:before_id::bigint IS NULL OR id < :before_id)
   AND (:since::timestamptz IS NULL OR at >= :since)
   AND (:until::timestamptz IS NULL OR at < :until)
   AND (:actor::text IS NULL OR actor = :actor)
   AND (:action::text IS NULL OR action = :action)
   AND (:object_kind::text IS NULL OR object_kind = :object_kind)
   AND (:object_id::text IS NULL OR object_id = :object_id)
 ORDER BY id DESC
 LIMIT :limit
