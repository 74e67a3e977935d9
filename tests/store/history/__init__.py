"""What can happen to one sandbox's profile store, in any order, and what is to be read then.

Batches come and go, jobs are claimed, done halfway and finished or not, through the stores and the
workers' own code on PostgreSQL. Only rows and the engine are of memory. No test is in here.
"""
