"""What the service knows: organisations, schemas, data sets, batches, merge policies, jobs.

The modules here are nouns: frozen values and the rules that can be decided from those values
alone. Nothing here reads a file, opens a socket or asks what time it is.
:mod:`catalog.store` keeps the nouns in PostgreSQL and is the only place that knows SQL.

Nothing in this package may import :mod:`service`.
"""
