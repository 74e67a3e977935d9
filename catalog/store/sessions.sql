-- name: end_silent
-- Ends the service's sessions of which nothing has come for so long in the middle of a transaction,
-- and waits a second at most until they have given their locks back.
SELECT pg_terminate_backend(pid, 1000) AS is_gone
  FROM pg_stat_activity
 WHERE datname = current_database()
   AND usename = current_user
   AND application_name = :application
   AND pid <> pg_backend_pid()
   AND xact_start IS NOT NULL
   AND wait_event = 'ClientRead'
   AND state_change < clock_timestamp() - :silence::interval
