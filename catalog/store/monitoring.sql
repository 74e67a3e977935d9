-- What monitoring asks every few seconds, read from indexes of what is short or recent.

-- name: queue
-- How many jobs of each kind wait and run, and how old the oldest of them is.
SELECT kind, state, count(*) AS count,
       extract(epoch FROM now() - min(created_at))::float8 AS oldest_seconds
  FROM jobs
 WHERE state IN ('queued', 'running')
 GROUP BY kind, state

-- name: instant
-- The clock that events are dated by, so far back that all of them are committed.
SELECT now() - :behind::interval AS now

-- name: ended
-- Jobs that ended within a span of time: how, after how long in the queue and how long at work.
SELECT jobs.kind, jobs.state,
       extract(epoch FROM coalesce(jobs.started_at, jobs.finished_at) - jobs.created_at)::float8
           AS waited_seconds,
       extract(epoch FROM jobs.finished_at - coalesce(jobs.started_at, jobs.finished_at))::float8
           AS worked_seconds
  FROM job_events JOIN jobs ON jobs.id = job_events.job_id
 WHERE job_events.at > :since AND job_events.at <= :until
   AND job_events.state IN ('succeeded', 'failed', 'cancelled')

-- name: lost
-- How many leases were lost within a span of time.
SELECT count(*) AS count
  FROM job_events
 WHERE at > :since AND at <= :until AND reason = :reason

-- name: swept
-- What the sweeper removed within a span of time, by what it was.
SELECT what, sum(count::bigint)::bigint AS count
  FROM sweeps, jsonb_each_text(counts) AS removed (what, count)
 WHERE ended_at > :since AND ended_at <= :until
 GROUP BY what
