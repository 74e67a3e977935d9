-- Segments: rules that say who belongs to an audience.

CREATE TABLE segments (
    id              text        PRIMARY KEY,
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    key             text        NOT NULL,
    version         integer     NOT NULL DEFAULT 1,
    name            text        NOT NULL,
    description     text        NOT NULL,
    format          text        NOT NULL,
    expression      text        NOT NULL,
    rule            text        NOT NULL,
    merge_policy_id text,
    is_batch        boolean     NOT NULL,
    is_continuous   boolean     NOT NULL,
    is_synchronous  boolean     NOT NULL,
    ttl_days        integer,
    created_by      text        NOT NULL,
    updated_by      text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT a_segment_key_is_taken_once UNIQUE (sandbox_id, key),
    CONSTRAINT a_segment_name_is_taken_once UNIQUE (sandbox_id, name),
    CONSTRAINT format_is_known CHECK (format IN ('pql/text', 'pql/json')),
    CONSTRAINT memberships_live_for_a_while CHECK (ttl_days > 0)
);

COMMENT ON COLUMN segments.key IS 'Another name, without hyphens, for callers who know it by that.';
COMMENT ON COLUMN segments.expression IS 'The rule as its author wrote it, in its format.';
COMMENT ON COLUMN segments.rule IS 'The same rule as text that the service wrote: equal rules read alike.';
COMMENT ON COLUMN segments.merge_policy_id IS
    'Null: the default policy of the sandbox, whichever it is. May name a built-in policy, so '
    'nothing is referenced; a policy that is named here cannot be removed.';
COMMENT ON COLUMN segments.ttl_days IS
    'How long after its last qualification time a membership lasts; null is for ever.';

-- Serve the listings of a sandbox's segments.
CREATE INDEX segments_by_creation ON segments (sandbox_id, created_at, id);
CREATE INDEX segments_by_update ON segments (sandbox_id, updated_at, id);
-- Serves the question whether a merge policy is in use.
CREATE INDEX segments_of_a_policy ON segments (merge_policy_id) WHERE merge_policy_id IS NOT NULL;
