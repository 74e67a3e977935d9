"""What can happen to the profile stores of sandboxes, in any order, and what is to be read then.

Batches come and go, jobs are claimed, done halfway and finished or not, through the stores and the
workers' own code on PostgreSQL. Only files and the engine are of memory. No test is in here.
"""
