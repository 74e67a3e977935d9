-- What GrowingIO's dialect names: sandboxes by number, which it calls projects; the spaces in them;
-- what it calls identities, user properties and tags; and tokens that last.

-- Organisations are few and their sandboxes too: numbering those there are takes no time.
ALTER TABLE sandboxes ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE sandboxes ADD CONSTRAINT a_sandbox_has_one_number UNIQUE (number);

COMMENT ON COLUMN sandboxes.number IS 'What the ids of projects are made from.';

-- Serves the token endpoint whose callers name no client, only a secret.
CREATE UNIQUE INDEX clients_by_secret ON clients (secret_hash);

CREATE TABLE spaces (
    number          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    name            text        NOT NULL,
    description     text        NOT NULL DEFAULT '',
    identities      text[],
    user_properties text[],
    tags            text[],
    created_by      text        NOT NULL,
    updated_by      text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT a_space_is_named_with_its_sandbox UNIQUE (number, sandbox_id),
    CONSTRAINT a_space_has_one_name UNIQUE (sandbox_id, name)
);

COMMENT ON TABLE spaces IS
    'Views of a sandbox: each has segments of its own and may use a part of the properties.';
COMMENT ON COLUMN spaces.identities IS
    'Keys of the identities it may use; null: all there are and will be. So for the two below.';

CREATE TABLE properties (
    number          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    kind            text        NOT NULL,
    key             text        NOT NULL,
    name            text        NOT NULL,
    description     text        NOT NULL DEFAULT '',
    value_type      text        NOT NULL,
    is_array        boolean     NOT NULL,
    path            text[],
    namespace       text,
    created_by      text        NOT NULL,
    updated_by      text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT a_property_has_one_key UNIQUE (sandbox_id, key),
    CONSTRAINT a_property_has_one_name UNIQUE (sandbox_id, kind, name),
    CONSTRAINT property_kind_is_known CHECK (kind IN ('identity', 'user', 'tag')),
    CONSTRAINT value_type_is_known CHECK (value_type IN ('STRING', 'INT', 'DOUBLE', 'DATE')),
    CONSTRAINT a_property_is_a_leaf_or_a_namespace CHECK (
        (kind = 'identity') = (namespace IS NOT NULL)
        AND (kind = 'identity') = (path IS NULL))
);

COMMENT ON TABLE properties IS
    'What of a profile may be asked for by a key: identities, user properties and tags. Nothing '
    'is kept of their values, which are those of the profile.';
COMMENT ON COLUMN properties.path IS 'The leaf of the union schema, outermost name first.';

CREATE TABLE personal_tokens (
    number          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    client_id       text        NOT NULL,
    name            text        NOT NULL,
    token_hash      bytea       NOT NULL,
    scopes          text[]      NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    revoked_at      timestamptz,

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    CONSTRAINT a_token_is_one_clients UNIQUE (token_hash)
);

COMMENT ON COLUMN personal_tokens.client_id IS
    'In whose name it calls. Refers to nothing: clients of an external issuer have no row.';
COMMENT ON COLUMN personal_tokens.sandbox_id IS 'Where calls look that name no project.';
COMMENT ON COLUMN personal_tokens.token_hash IS 'SHA-256 of a random 122-bit token.';

-- Serves the listing of a client's tokens.
CREATE INDEX personal_tokens_of_a_client ON personal_tokens (organisation_id, client_id, number);

CREATE TABLE placed_segments (
    number          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    segment_id      text        NOT NULL UNIQUE REFERENCES segments ON DELETE CASCADE,
    sandbox_id      uuid        NOT NULL,
    organisation_id text        NOT NULL,
    space_number    bigint,

    FOREIGN KEY (sandbox_id, organisation_id) REFERENCES sandboxes (id, organisation_id),
    FOREIGN KEY (space_number, sandbox_id) REFERENCES spaces (number, sandbox_id)
);

COMMENT ON TABLE placed_segments IS
    'Beside every segment its number and the space it belongs to. A table of its own, written by a '
    'trigger: those who define segments need not know of spaces.';
COMMENT ON COLUMN placed_segments.space_number IS 'Null: it belongs to the project as a whole.';

-- Serves the listing of a space's segments.
CREATE INDEX placed_segments_of_a_sandbox ON placed_segments (sandbox_id, space_number, number);

CREATE FUNCTION place_segment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO placed_segments (segment_id, sandbox_id, organisation_id)
    VALUES (NEW.id, NEW.sandbox_id, NEW.organisation_id);
    RETURN NULL;
END $$;

COMMENT ON FUNCTION place_segment IS 'Gives every segment a number when it is made.';

CREATE TRIGGER place_new_segment AFTER INSERT ON segments
    FOR EACH ROW EXECUTE FUNCTION place_segment();

INSERT INTO placed_segments (segment_id, sandbox_id, organisation_id)
SELECT id, sandbox_id, organisation_id FROM segments ORDER BY created_at, id;
