-- Who may call: organisations, their sandboxes and clients, and the keys their tokens are
-- signed with. A sandbox also holds the counters that order its batches and snapshots.

CREATE TABLE organisations (
    id         text        PRIMARY KEY,
    name       text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sandboxes (
    id               uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    organisation_id  text        NOT NULL REFERENCES organisations,
    name             text        NOT NULL,
    title            text        NOT NULL,
    kind             text        NOT NULL DEFAULT 'production',
    is_default       boolean     NOT NULL DEFAULT false,
    ingest_number    bigint      NOT NULL DEFAULT 0,
    commit_number    bigint      NOT NULL DEFAULT 0,
    files_commit     bigint      NOT NULL DEFAULT 0,
    last_ingested_at timestamptz NOT NULL DEFAULT '-infinity',
    created_at       timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT a_sandbox_has_one_name UNIQUE (organisation_id, name),
    CONSTRAINT a_sandbox_is_named_with_its_organisation UNIQUE (id, organisation_id),
    CONSTRAINT sandbox_kind_is_known CHECK (kind IN ('production', 'development'))
);

COMMENT ON COLUMN sandboxes.ingest_number IS
    'The last number given to a completed batch. Orders merging.';
COMMENT ON COLUMN sandboxes.commit_number IS
    'The last number given to a change of the profile store. Orders snapshots. Taken under the '
    'lock of this row, not from a sequence, so that numbers become visible in order.';
COMMENT ON COLUMN sandboxes.files_commit IS
    'The last commit number by which store files came or went: files that went are swept, and then '
    'nothing else tells of it.';
COMMENT ON COLUMN sandboxes.last_ingested_at IS
    'Ingest times rise strictly: the next is later than this whatever the clock does.';

CREATE TABLE clients (
    id              text        PRIMARY KEY,
    organisation_id text        NOT NULL REFERENCES organisations,
    name            text        NOT NULL,
    secret_hash     bytea       NOT NULL,
    scopes          text[]      NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    disabled_at     timestamptz
);

COMMENT ON COLUMN clients.secret_hash IS 'SHA-256 of a random 256-bit secret.';

CREATE TABLE signing_keys (
    kid         text        PRIMARY KEY,
    private_jwk jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    retired_at  timestamptz
);

CREATE TABLE deployment_secrets (
    name       text        PRIMARY KEY,
    value      bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE deployment_secrets IS
    'Secrets the stored data depend on, such as the one identity keys are made with. They live '
    'beside the data so that a dump restores them.';
