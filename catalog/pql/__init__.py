"""PQL, the language in which segments say who belongs to them.

Text or a JSON document is read into the nodes of :mod:`~catalog.pql.nodes`, checked against the
fields that profiles and events have, and written again as text, as JSON or in words. What a rule
says of profiles is decided by the engine.
"""
