-- Callers see export jobs by the view of that name. A listing reads the first jobs of every state
-- that is asked for from an index in its own order, and merges those: it takes as long with a
-- million jobs as with a thousand, whichever states it asks for.
--
-- What it is given it takes by way of subqueries, so that PostgreSQL cannot tell one call from
-- another and keeps the plan. Else it made one for each call, which takes ten times as long as to
-- read a short page: it believes a limit that it cannot see to be a tenth of all jobs, and such a
-- plan so dear that another is worth making. The array hides that belief from the join.

-- name: find
-- One export job of one sandbox.
SELECT *
  FROM export_jobs
 WHERE id = :job_id AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id

-- name: submitted_at
-- When an export job was submitted, to the microsecond.
SELECT created_at
  FROM jobs
 WHERE id = :job_id AND kind = 'export'
   AND sandbox_id = :sandbox_id AND organisation_id = :organisation_id

-- name: by_creation_descending
-- A page of export jobs, the last submitted first, from behind the place that a cursor names.
SELECT export_jobs.*
  FROM unnest(ARRAY(
    SELECT found.id
      FROM unnest((SELECT :states::text[])) AS wanted (state)
     CROSS JOIN LATERAL (
           SELECT jobs.id, jobs.created_at
             FROM jobs
            WHERE jobs.kind = 'export'
              AND jobs.sandbox_id = :sandbox_id AND jobs.organisation_id = :organisation_id
              AND jobs.state = wanted.state
              AND (jobs.created_at, jobs.id) < (
                   (SELECT coalesce(:after_at::timestamptz, 'infinity')),
                   (SELECT coalesce(:after_id::bigint, 9223372036854775807)))
            ORDER BY jobs.created_at DESC, jobs.id DESC
            LIMIT (SELECT :limit::bigint + :skip::bigint)) AS found
     ORDER BY created_at DESC, id DESC
     LIMIT (SELECT :limit::bigint) OFFSET (SELECT :skip::bigint)
)) WITH ORDINALITY AS listed (id, place)
  JOIN export_jobs USING (id)
 ORDER BY listed.place

-- name: by_creation_ascending
-- A page of export jobs, the first submitted first, from behind the place that a cursor names.
SELECT export_jobs.*
  FROM unnest(ARRAY(
    SELECT found.id
      FROM unnest((SELECT :states::text[])) AS wanted (state)
     CROSS JOIN LATERAL (
           SELECT jobs.id, jobs.created_at
             FROM jobs
            WHERE jobs.kind = 'export'
              AND jobs.sandbox_id = :sandbox_id AND jobs.organisation_id = :organisation_id
              AND jobs.state = wanted.state
              AND (jobs.created_at, jobs.id) > (
                   (SELECT coalesce(:after_at::timestamptz, '-infinity')),
                   (SELECT coalesce(:after_id::bigint, 0)))
            ORDER BY jobs.created_at, jobs.id
            LIMIT (SELECT :limit::bigint + :skip::bigint)) AS found
     ORDER BY created_at, id
     LIMIT (SELECT :limit::bigint) OFFSET (SELECT :skip::bigint)
)) WITH ORDINALITY AS listed (id, place)
  JOIN export_jobs USING (id)
 ORDER BY listed.place

-- name: by_update_descending
-- A page of export jobs, the last changed first, from behind the place that a cursor names.
SELECT export_jobs.*
  FROM unnest(ARRAY(
    SELECT found.id
      FROM unnest((SELECT :states::text[])) AS wanted (state)
     CROSS JOIN LATERAL (
           SELECT jobs.id, jobs.updated_at
             FROM jobs
            WHERE jobs.kind = 'export'
              AND jobs.sandbox_id = :sandbox_id AND jobs.organisation_id = :organisation_id
              AND jobs.state = wanted.state
              AND (jobs.updated_at, jobs.id) < (
                   (SELECT coalesce(:after_at::timestamptz, 'infinity')),
                   (SELECT coalesce(:after_id::bigint, 9223372036854775807)))
            ORDER BY jobs.updated_at DESC, jobs.id DESC
            LIMIT (SELECT :limit::bigint + :skip::bigint)) AS found
     ORDER BY updated_at DESC, id DESC
     LIMIT (SELECT :limit::bigint) OFFSET (SELECT :skip::bigint)
)) WITH ORDINALITY AS listed (id, place)
  JOIN export_jobs USING (id)
 ORDER BY listed.place

-- name: by_update_ascending
-- A page of export jobs, the first changed first, from behind the place that a cursor names.
SELECT export_jobs.*
  FROM unnest(ARRAY(
    SELECT found.id
      FROM unnest((SELECT :states::text[])) AS wanted (state)
     CROSS JOIN LATERAL (
           SELECT jobs.id, jobs.updated_at
             FROM jobs
            WHERE jobs.kind = 'export'
              AND jobs.sandbox_id = :sandbox_id AND jobs.organisation_id = :organisation_id
              AND jobs.state = wanted.state
              AND (jobs.updated_at, jobs.id) > (
                   (SELECT coalesce(:after_at::timestamptz, '-infinity')),
                   (SELECT coalesce(:after_id::bigint, 0)))
            ORDER BY jobs.updated_at, jobs.id
            LIMIT (SELECT :limit::bigint + :skip::bigint)) AS found
     ORDER BY updated_at, id
     LIMIT (SELECT :limit::bigint) OFFSET (SELECT :skip::bigint)
)) WITH ORDINALITY AS listed (id, place)
  JOIN export_jobs USING (id)
 ORDER BY listed.place

-- name: by_state_descending
-- A page of export jobs, by the names of their states, the last of them first, and from behind the
-- place that a cursor names.
SELECT export_jobs.*
  FROM unnest(ARRAY(
    SELECT found.id
      FROM unnest((SELECT :states::text[])) AS wanted (state)
     CROSS JOIN LATERAL (
           SELECT jobs.id, jobs.state
             FROM jobs
            WHERE jobs.kind = 'export'
              AND jobs.sandbox_id = :sandbox_id AND jobs.organisation_id = :organisation_id
              AND jobs.state = wanted.state
              AND wanted.state <= coalesce(:after_state::text, '~') COLLATE "C"
              AND -jobs.id > -CASE WHEN wanted.state = :after_state THEN :after_id::bigint
                                  ELSE 9223372036854775807 END
            ORDER BY -jobs.id
            LIMIT (SELECT :limit::bigint + :skip::bigint)) AS found
     ORDER BY found.state COLLATE "C" DESC, found.id DESC
     LIMIT (SELECT :limit::bigint) OFFSET (SELECT :skip::bigint)
)) WITH ORDINALITY AS listed (id, place)
  JOIN export_jobs USING (id)
 ORDER BY listed.place

-- name: by_state_ascending
-- A page of export jobs, by the names of their states, from behind the place that a cursor names.
SELECT export_jobs.*
  FROM unnest(ARRAY(
    SELECT found.id
      FROM unnest((SELECT :states::text[])) AS wanted (state)
     CROSS JOIN LATERAL (
           SELECT jobs.id, jobs.state
             FROM jobs
            WHERE jobs.kind = 'export'
              AND jobs.sandbox_id = :sandbox_id AND jobs.organisation_id = :organisation_id
              AND jobs.state = wanted.state
              AND wanted.state >= coalesce(:after_state::text, '') COLLATE "C"
              AND -jobs.id < -CASE WHEN wanted.state = :after_state THEN :after_id::bigint
                                  ELSE 0 END
            ORDER BY -jobs.id DESC
            LIMIT (SELECT :limit::bigint + :skip::bigint)) AS found
     ORDER BY found.state COLLATE "C", found.id
     LIMIT (SELECT :limit::bigint) OFFSET (SELECT :skip::bigint)
)) WITH ORDINALITY AS listed (id, place)
  JOIN export_jobs USING (id)
 ORDER BY listed.place

-- name: by_id_descending
-- A page of export jobs, the highest id first, from behind the place that a cursor names.
SELECT export_jobs.*
  FROM unnest(ARRAY(
    SELECT found.id
      FROM unnest((SELECT :states::text[])) AS wanted (state)
     CROSS JOIN LATERAL (
           SELECT jobs.id
             FROM jobs
            WHERE jobs.kind = 'export'
              AND jobs.sandbox_id = :sandbox_id AND jobs.organisation_id = :organisation_id
              AND jobs.state = wanted.state
              AND -jobs.id > -(SELECT coalesce(:after_id::bigint, 9223372036854775807))
            ORDER BY -jobs.id
            LIMIT (SELECT :limit::bigint + :skip::bigint)) AS found
     ORDER BY found.id DESC
     LIMIT (SELECT :limit::bigint) OFFSET (SELECT :skip::bigint)
)) WITH ORDINALITY AS listed (id, place)
  JOIN export_jobs USING (id)
 ORDER BY listed.place

-- name: by_id_ascending
-- A page of export jobs, the lowest id first, from behind the place that a cursor names.
SELECT export_jobs.*
  FROM unnest(ARRAY(
    SELECT found.id
      FROM unnest((SELECT :states::text[])) AS wanted (state)
     CROSS JOIN LATERAL (
           SELECT jobs.id
             FROM jobs
            WHERE jobs.kind = 'export'
              AND jobs.sandbox_id = :sandbox_id AND jobs.organisation_id = :organisation_id
              AND jobs.state = wanted.state
              AND -jobs.id < -(SELECT coalesce(:after_id::bigint, 0))
            ORDER BY -jobs.id DESC
            LIMIT (SELECT :limit::bigint + :skip::bigint)) AS found
     ORDER BY found.id
     LIMIT (SELECT :limit::bigint) OFFSET (SELECT :skip::bigint)
)) WITH ORDINALITY AS listed (id, place)
  JOIN export_jobs USING (id)
 ORDER BY listed.place
