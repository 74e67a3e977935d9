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

CREATE FUNCTION submit_exports(
    in_sandbox uuid, in_organisation text, to_dataset text, of_schema text, upon text,
    pinned jsonb, orders text[], selections text[], by_actors text[], in_requests text[],
    new_batches text[], of_places integer[], at_places integer[], in_state text, in_format jsonb)
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
    -- Ids are drawn first: what belongs to each job is told by its place among them.
    WITH new AS MATERIALIZED (
        SELECT nextval(pg_get_serial_sequence('jobs', 'id')) AS id, one.*
          FROM unnest(orders, selections, by_actors, in_requests)
               WITH ORDINALITY AS one (wanted, selection, actor, request, place)
    ), submitted AS (
        INSERT INTO jobs (id, sandbox_id, organisation_id, kind, dataset_id, "order", snapshot,
                          created_by, request_id)
        OVERRIDING SYSTEM VALUE
        SELECT id, in_sandbox, in_organisation, 'export', to_dataset,
               wanted::jsonb || jsonb_build_object('selection', selection::jsonb || pinned),
               ground.snapshot, actor, request
          FROM new
        RETURNING *
    ), noted AS (
        INSERT INTO job_events (job_id, event, state, attempt, actor)
        SELECT id, 'submit', state, attempt, created_by FROM submitted
    ), opened AS (
        INSERT INTO batches (id, sandbox_id, organisation_id, dataset_id, state, input_format,
                             job_id, place, created_by, started_at)
        SELECT batch.id, in_sandbox, in_organisation, to_dataset, in_state, in_format,
               new.id, batch.place, new.actor, now()
          FROM unnest(new_batches, of_places, at_places) AS batch (id, of_place, place)
          JOIN new ON new.place = batch.of_place
    ), audited AS (
        INSERT INTO audit_entries (sandbox_id, organisation_id, actor, action, object_kind,
                                   object_id, request_id, details)
        SELECT in_sandbox, in_organisation, actor, 'create', 'export_job', id::text, request,
               jsonb_build_object('dataset', to_dataset)
          FROM new
    )
    SELECT submitted.* FROM submitted JOIN new USING (id) ORDER BY new.place;
END $$;

COMMENT ON FUNCTION submit_exports IS
    'Queues export jobs to one data set, opens the batches they will fill, and notes who asked, if '
    'what they rest on still has the mark it was made upon; if not, nothing is done and no row '
    'answered. Workers hear nothing of it: its caller tells them afterwards.';
