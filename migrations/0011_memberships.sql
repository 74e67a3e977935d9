-- Segment jobs, and what they found out: who belongs to which segment, as kept for exports,
-- look-ups and the jobs after them.

CREATE TABLE segment_jobs (
    id              uuid   PRIMARY KEY DEFAULT gen_random_uuid(),
    job_id          bigint NOT NULL UNIQUE REFERENCES jobs ON DELETE CASCADE,
    sandbox_id      uuid   NOT NULL,
    organisation_id text   NOT NULL,

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id)
);

COMMENT ON TABLE segment_jobs IS 'What callers call the jobs that evaluate segments: by UUIDs.';

-- Serves the listing of segment jobs.
CREATE INDEX segment_jobs_of_a_sandbox ON segment_jobs (sandbox_id, job_id);

CREATE TABLE membership_sets (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    job_id          bigint      NOT NULL REFERENCES jobs,
    merge_policy_id text        NOT NULL,
    evaluated_at    timestamptz NOT NULL,
    added           bigint      NOT NULL,
    removed         bigint,

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT a_set_goes_after_it_came CHECK (removed > added)
);

COMMENT ON TABLE membership_sets IS
    'What one segment job found out under one merge policy.';
COMMENT ON COLUMN membership_sets.merge_policy_id IS
    'Of a policy of the sandbox or of a built-in one, so nothing is referenced. Rows are keyed by '
    'what represented a profile under it.';
COMMENT ON COLUMN membership_sets.added IS 'Commit number of the first snapshot that has it.';
COMMENT ON COLUMN membership_sets.removed IS
    'Commit number of the first snapshot in which none of its segments counts.';

-- Serves whoever reads a snapshot.
CREATE INDEX membership_sets_of_a_policy ON membership_sets (sandbox_id, merge_policy_id)
    WHERE removed IS NULL;
-- Serves the sweeper, which looks for sets that left the last snapshot.
CREATE INDEX membership_sets_removed ON membership_sets (sandbox_id) WHERE removed IS NOT NULL;

CREATE TABLE membership_segments (
    set_id     bigint  NOT NULL REFERENCES membership_sets ON DELETE CASCADE,
    number     integer NOT NULL,
    segment_id text    NOT NULL,
    removed    bigint,

    PRIMARY KEY (set_id, number)
);

COMMENT ON TABLE membership_segments IS
    'The segments of a set, by the numbers that its files have for them.';
COMMENT ON COLUMN membership_segments.removed IS
    'Commit number from which a later set tells of the segment, or nothing does, since it is '
    'deleted. The rows stay in the files and are passed over.';

-- Serves a later set, and the deletion of a segment: the set that tells of it now.
CREATE INDEX membership_segments_that_count ON membership_segments (segment_id)
    WHERE removed IS NULL;

CREATE TABLE membership_files (
    set_id     bigint NOT NULL REFERENCES membership_sets ON DELETE CASCADE,
    key        text   NOT NULL UNIQUE,
    size_bytes bigint NOT NULL,
    row_count  bigint NOT NULL
);

-- Serves the cascade, and whoever reads a set.
CREATE INDEX membership_files_of_a_set ON membership_files (set_id);

CREATE TRIGGER discard_deleted_membership_file AFTER DELETE ON membership_files
    FOR EACH ROW EXECUTE FUNCTION discard_file();
