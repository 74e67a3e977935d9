"""The doors: each speaks one dialect and borrows from no other. Rules live below, in operations."""
