"""The catalog as PostgreSQL keeps it: the only package that knows SQL.

Each noun has a module and a ``.sql`` file of the same name. How the server is found, started
and migrated is here too; what a noun means is not: that is the package above.
"""
