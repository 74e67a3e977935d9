"""Attacks the whole service by machine and audits what is left of it.

``make chaos`` starts the real service, works it through its HTTP API and meanwhile kills and stops
its processes, cuts its database connections, fills its disk. What is done and when follows from a
seed; what must be true afterwards is in :mod:`tests.chaos.audit`. ``docs/reliability.md`` tells
what is promised and shows the latest figures.
"""
