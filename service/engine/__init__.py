"""Turns rows into store files, and store files into merged profiles.

:mod:`~service.engine.promotion` takes the uploads of a batch in; :mod:`~service.engine.plan`
and :mod:`~service.engine.task` take merged profiles out, by way of the pure
:mod:`~service.engine.kernel`. The engine writes bytes and never rows of the database: it is
told everything by the orders of :mod:`~service.engine.orders` and runs in a process of its own
(:mod:`~service.engine.child`), which may be killed at any moment.
"""
