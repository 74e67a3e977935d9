-- Answers to creates that callers may send again: the first is given again, and nothing is made
-- twice.

CREATE TABLE kept_answers (
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    operation       text        NOT NULL,
    key             text        NOT NULL,
    request_digest  bytea       NOT NULL,
    status          integer,
    headers         jsonb,
    body            bytea,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,

    PRIMARY KEY (sandbox_id, operation, key),
    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT an_answer_is_whole CHECK (
        (status IS NULL) = (body IS NULL) AND (status IS NULL) = (headers IS NULL))
);

-- Serves the sweeper, which forgets what has expired.
CREATE INDEX kept_answers_by_expiry ON kept_answers (expires_at);

COMMENT ON TABLE kept_answers IS
    'What callers who sent an Idempotency-Key were answered. Written in the transaction of what was '
    'made, so that there is neither without the other.';
COMMENT ON COLUMN kept_answers.operation IS 'Method and route: a key counts for one operation.';
COMMENT ON COLUMN kept_answers.request_digest IS 'SHA-256 of path, query and body.';
COMMENT ON COLUMN kept_answers.expires_at IS 'From then on the key is free again.';
