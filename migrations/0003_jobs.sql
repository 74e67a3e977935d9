-- Jobs and their history. A job row says where a job stands and is its own place in the queue;
-- its events say how it got there, who moved it, and why.

CREATE TABLE jobs (
    id               bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sandbox_id       uuid        NOT NULL,
    organisation_id  text        NOT NULL,
    kind             text        NOT NULL,
    state            text        NOT NULL DEFAULT 'queued',
    dataset_id       text,
    "order"          jsonb       NOT NULL,
    snapshot         bigint,
    attempt          integer     NOT NULL DEFAULT 0,
    failed_attempts  integer     NOT NULL DEFAULT 0,
    run_after        timestamptz NOT NULL DEFAULT now(),
    worker_id        text,
    lease_expires_at timestamptz,
    progress         jsonb       NOT NULL DEFAULT '{}',
    metrics          jsonb       NOT NULL DEFAULT '{}',
    errors           jsonb       NOT NULL DEFAULT '[]',
    created_by       text        NOT NULL,
    request_id       text        NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,
    finished_at      timestamptz,

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    FOREIGN KEY (dataset_id, sandbox_id) REFERENCES datasets (id, sandbox_id),
    CONSTRAINT kind_is_known CHECK (
        kind IN (
            'promotion', 'export', 'compaction', 'rebuild', 'segmentation', 'user_list')),
    CONSTRAINT state_is_known CHECK (
        state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT only_ended_jobs_have_an_end CHECK (
        (finished_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled'))),
    CONSTRAINT only_running_jobs_have_a_lease CHECK (
        (state = 'running') = (worker_id IS NOT NULL)
        AND (state = 'running') = (lease_expires_at IS NOT NULL)),
    CONSTRAINT all_but_promotions_pin_a_snapshot CHECK (
        (kind = 'promotion') = (snapshot IS NULL)),
    CONSTRAINT segmentations_and_user_lists_have_no_data_set CHECK (
        (kind IN ('segmentation', 'user_list')) = (dataset_id IS NULL))
);

COMMENT ON COLUMN jobs."order" IS 'The accepted request. Written once.';
COMMENT ON COLUMN jobs.snapshot IS 'The commit number that is read at, in every attempt.';
COMMENT ON COLUMN jobs.attempt IS
    'Claims so far, and the fencing token: a worker names it in whatever it writes.';

-- Serves claim_next, which hops from sandbox to sandbox, and the count of what waits in one. The
-- sum keeps the planner from walking the primary key instead, past every job that ever was.
CREATE INDEX jobs_waiting ON jobs (sandbox_id, (id + 0)) WHERE state = 'queued';
-- Serves release_expired and the count of running jobs by sandbox.
CREATE INDEX jobs_running ON jobs (lease_expires_at) WHERE state = 'running';
-- Serves claim_next: promotions of one data set go one after the other.
CREATE INDEX promotions_unfinished ON jobs (dataset_id, id)
    WHERE kind = 'promotion' AND state IN ('queued', 'running');
-- Serves claim_next: segmentations of one sandbox go one after the other.
CREATE INDEX segmentations_unfinished ON jobs (sandbox_id, id)
    WHERE kind = 'segmentation' AND state IN ('queued', 'running');
-- Serves claim_next: whatever reads a snapshot waits for rebuilds of its sandbox.
CREATE INDEX rebuilds_unfinished ON jobs (sandbox_id, id)
    WHERE kind = 'rebuild' AND state IN ('queued', 'running');
-- Two would take the same files.
CREATE UNIQUE INDEX a_sandbox_is_compacted_once_at_a_time ON jobs (sandbox_id)
    WHERE kind = 'compaction' AND finished_at IS NULL;
-- Serves those who look after the profile store: whether a compaction has failed lately.
CREATE INDEX compactions_failed ON jobs (finished_at)
    WHERE kind = 'compaction' AND state = 'failed';
-- Serve the listings of export jobs: each reads the first of every state asked for, in its order.
CREATE INDEX export_jobs_by_creation ON jobs (sandbox_id, state, created_at, id)
    WHERE kind = 'export';
CREATE INDEX export_jobs_by_update ON jobs (sandbox_id, state, updated_at, id)
    WHERE kind = 'export';
-- By the negative: asked for the id itself, the planner takes the primary key, which knows nothing
-- of states and so reads past a million jobs to find the few of one.
CREATE INDEX export_jobs_by_id ON jobs (sandbox_id, state, (-id)) WHERE kind = 'export';

COMMENT ON COLUMN jobs.failed_attempts IS
    'Attempts that ended badly. One that was handed back by a worker shutting down is not counted.';

CREATE TABLE turns (
    sandbox_id uuid        PRIMARY KEY REFERENCES sandboxes,
    taken_at   timestamptz NOT NULL
) WITH (fillfactor = 50);

COMMENT ON TABLE turns IS
    'When a job of each sandbox was last claimed: sandboxes take turns. A table of its own, since '
    'the row of a sandbox is locked for as long as one of its snapshots is made.';

CREATE TABLE job_events (
    job_id  bigint      NOT NULL REFERENCES jobs ON DELETE CASCADE,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    event   text        NOT NULL,
    state   text        NOT NULL,
    attempt integer     NOT NULL,
    actor   text        NOT NULL,
    reason  text
);

CREATE INDEX job_events_of_a_job ON job_events (job_id, at);
-- Serves monitoring, which asks what happened since it last asked: the newest rows lie together.
CREATE INDEX job_events_by_time ON job_events USING brin (at) WITH (pages_per_range = 16);

CREATE FUNCTION announce_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('jobs', NEW.state || ':' || NEW.id);
    RETURN NULL;
END $$;

COMMENT ON FUNCTION announce_job IS
    'Wakes workers when a job waits, or has ended and may have held up another, and tells the one '
    'that runs it when it was cancelled.';

-- Transactions that hold a notice are committed one after the other, each with its own write to the
-- disk. Whoever submits very many says instead that it announces them afterwards.
CREATE TRIGGER announce_new_job AFTER INSERT ON jobs
    FOR EACH ROW
    WHEN (current_setting('profile_exports.announcing', true) IS DISTINCT FROM 'afterwards')
    EXECUTE FUNCTION announce_job();
CREATE TRIGGER announce_moved_job AFTER UPDATE OF state ON jobs
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION announce_job();

CREATE TABLE plans (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id         bigint      NOT NULL UNIQUE REFERENCES jobs ON DELETE CASCADE,
    attempt        integer     NOT NULL,
    engine_version text        NOT NULL,
    key            text        NOT NULL,
    task_count     integer     NOT NULL,
    numbering      text,
    created_at     timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE plans IS
    'What an export job worked out once. Later attempts of the same engine version go on from '
    'it; another version deletes it, and its parts with it.';
COMMENT ON COLUMN plans.numbering IS
    'Key of the numbering of profiles that it goes by, which stays while the job is unfinished; '
    'null when it has no use for one.';

CREATE TABLE parts (
    plan_id    bigint      NOT NULL REFERENCES plans ON DELETE CASCADE,
    number     integer     NOT NULL,
    batch      integer     NOT NULL,
    attempt    integer     NOT NULL,
    key        text        NOT NULL,
    size_bytes bigint      NOT NULL,
    row_count  bigint      NOT NULL,
    sha256     text        NOT NULL,
    counters   jsonb       NOT NULL,
    exclusions text,
    created_at timestamptz NOT NULL DEFAULT now(),

    PRIMARY KEY (plan_id, number, batch)
);

COMMENT ON COLUMN parts.number IS 'Of the task of the plan.';
COMMENT ON COLUMN parts.batch IS 'The place of its batch among those that the job fills.';
COMMENT ON COLUMN parts.exclusions IS
    'Key of the list of profiles that are not in it whole; null when all are.';

COMMENT ON TABLE parts IS
    'Finished files of exports that have not succeeded yet. Readers never look here: they see '
    'dataset_files, into which a success copies its parts.';
