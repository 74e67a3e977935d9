"""What a client may do: the scopes its credentials carry."""

from __future__ import annotations

from enum import StrEnum


class Access(StrEnum):
    """One thing a client may be allowed. Each call needs exactly one of them."""

    SANDBOXES_READ = "sandboxes:read"
    SCHEMAS_READ = "schemas:read"  # and what they add up to
    SCHEMAS_WRITE = "schemas:write"  # and identity descriptors
    NAMESPACES_READ = "namespaces:read"
    NAMESPACES_WRITE = "namespaces:write"
    DATASETS_READ = "datasets:read"
    DATASETS_WRITE = "datasets:write"
    BATCHES_READ = "batches:read"  # what became of them, never their rows
    BATCHES_WRITE = "batches:write"  # open, upload, complete, give up, take back
    POLICIES_READ = "policies:read"
    POLICIES_WRITE = "policies:write"
    SEGMENTS_READ = "segments:read"  # what they say, and what became of segment jobs
    SEGMENTS_WRITE = "segments:write"  # and evaluate them
    EXPORTS_READ = "exports:read"
    EXPORTS_WRITE = "exports:write"  # submit and cancel
    PROPERTIES_READ = "properties:read"  # and projects and spaces
    PROPERTIES_WRITE = "properties:write"
    TOKENS_READ = "tokens:read"  # one's own personal ones, never what they are
    TOKENS_WRITE = "tokens:write"  # make and revoke one's own
    DATA_READ = "data:read"  # rows: downloads, previews, profiles
    AUDIT_READ = "audit:read"  # who did what


#: What credentials carry unless they were made with less.
ALL = frozenset(Access)
