-- Submitting an export, which is what callers do most of all that changes anything, as functions:
-- each statement of a function sees what was committed before it, so that what took round trips of
-- a transaction takes one.

CREATE FUNCTION export_ground(
    in_sandbox uuid, in_organisation text, in_dataset text, for_schema text)
RETURNS TABLE (
    snapshot bigint, schema_id text, has_default_policy boolean, shape_mark text, mark text)
LANGUAGE sql STABLE AS $$
    SELECT sandboxes.commit_number, dataset.schema_id, policies.has_default, shapes.mark,
           md5(concat(shapes.mark, ';', dataset.schema_id, ';', policies.mark))
      FROM sandboxes
      LEFT JOIN LATERAL (
           SELECT datasets.schema_id
             FROM datasets
            WHERE datasets.id = in_dataset
              AND datasets.sandbox_id = sandboxes.id
              AND datasets.organisation_id = sandboxes.organisation_id
              AND datasets.deleted_at IS NULL) AS dataset ON true
     CROSS JOIN LATERAL (
           SELECT coalesce(bool_or(merge_policies.is_default
                                   AND merge_policies.schema_name = for_schema), false)
                      AS has_default,
                  string_agg(concat(merge_policies.xmin::text, ' ', merge_policies.id), ','
                             ORDER BY merge_policies.id) AS mark
             FROM merge_policies
            WHERE merge_policies.sandbox_id = sandboxes.id
              AND merge_policies.organisation_id = sandboxes.organisation_id) AS policies
     CROSS JOIN LATERAL (
           SELECT md5(concat(
                  (SELECT string_agg(concat(schemas.xmin::text, ' ', schemas.id), ','
                                     ORDER BY schemas.id)
                     FROM schemas
                    WHERE schemas.sandbox_id = sandboxes.id
                      AND schemas.organisation_id = sandboxes.organisation_id
                      AND schemas.is_union),
                  ';',
                  (SELECT string_agg(concat(namespaces.xmin::text, ' ', namespaces.id), ','
                                     ORDER BY namespaces.id)
                     FROM namespaces
                    WHERE namespaces.sandbox_id = sandboxes.id
                      AND namespaces.organisation_id = sandboxes.organisation_id))) AS mark
           ) AS shapes
     WHERE sandboxes.id = in_sandbox AND sandboxes.organisation_id = in_organisation
$$;

COMMENT ON FUNCTION export_ground IS
    'What an export to a data set would read and write. The marks are others after every change: '
    'of a schema of the union or a namespace the one, of a merge policy or the data set too the '
    'other. xmin is another after every change of a row.';

CREATE FUNCTION submit_export(
    in_sandbox uuid, in_organisation text, to_dataset text, of_schema text, upon text,
    wanted jsonb, by_actor text, in_request text,
    new_batches text[], in_state text, in_format jsonb)
RETURNS SETOF jobs
LANGUAGE plpgsql AS $$
DECLARE
    ground record;
BEGIN
    -- As erasure.sql, keep: asked first, so that what an erasure did is seen below.
    PERFORM pg_advisory_xact_lock_shared(hashtext('erasure'), hashtext(in_sandbox::text));
    -- Kept until the pin can be seen: the sweeper takes files nobody pinned, and waits for it.
    PERFORM FROM sandboxes
      WHERE id = in_sandbox AND organisation_id = in_organisation
        FOR KEY SHARE;
    SELECT * INTO ground
      FROM export_ground(in_sandbox, in_organisation, to_dataset, of_schema);
    IF ground.mark IS DISTINCT FROM upon THEN
        RETURN;
    END IF;
    PERFORM set_config('profile_exports.announcing', 'afterwards', true);
    RETURN QUERY
    WITH submitted AS (
        INSERT INTO jobs (sandbox_id, organisation_id, kind, dataset_id, "order", snapshot,
                          created_by, request_id)
        VALUES (in_sandbox, in_organisation, 'export', to_dataset, wanted, ground.snapshot,
                by_actor, in_request)
        RETURNING *
    ), noted AS (
        INSERT INTO job_events (job_id, event, state, attempt, actor)
        SELECT id, 'submit', state, attempt, by_actor FROM submitted
    ), opened AS (
        INSERT INTO batches (id, sandbox_id, organisation_id, dataset_id, state, input_format,
                             job_id, place, created_by, started_at)
        SELECT new.id, sandbox_id, organisation_id, dataset_id, in_state, in_format,
               submitted.id, new.place - 1, by_actor, now()
          FROM submitted
         CROSS JOIN unnest(new_batches) WITH ORDINALITY AS new (id, place)
    ), audited AS (
        INSERT INTO audit_entries (sandbox_id, organisation_id, actor, action, object_kind,
                                   object_id, request_id, details)
        SELECT sandbox_id, organisation_id, by_actor, 'create', 'export_job', id::text,
               in_request, jsonb_build_object('dataset', dataset_id)
          FROM submitted
    )
    SELECT * FROM submitted;
END $$;

COMMENT ON FUNCTION submit_export IS
    'Queues an export job, opens the batches it will fill, and notes who asked, if what it rests '
    'on still has the mark it was made upon; if not, nothing is done and no row answered. Workers '
    'hear nothing of it: its caller tells them afterwards.';
