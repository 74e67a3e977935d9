"""GrowingIO's GraphQL API: its schema, what answers each field, and nothing of what they decide.

It is the same dialect as :mod:`service.surfaces.growingio`, which tells who calls and words what is
refused before a document is read.
"""
