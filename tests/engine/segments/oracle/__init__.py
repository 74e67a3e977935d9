"""What a rule says of one profile, worked out value by value: ``docs/segments.md`` as plain Python.

Slow, simple, and independent of the engine. Null and unknown are ``None``, objects and maps are
dictionaries, instants are aware.
"""
