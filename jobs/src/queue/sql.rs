//! The statements on `jobs`. A claimed job is due when its lease expires, so one index finds both new and abandoned
//! jobs.

/// Writes a job. For an existing one the earlier time counts. If it is running, its claim is revoked and it waits
/// again, because that run may not have seen the reason for this one.
pub(super) const WRITE: &str = "INSERT INTO jobs AS job (id, owner_org_id, kind, payload, due_at)
    VALUES ($1, $2, $3, $4, now() + $5::bigint * interval '1 millisecond')
    ON CONFLICT (id) DO UPDATE SET payload = excluded.payload, due_at = excluded.due_at, state = 'waiting',
        attempts = 0, epoch = job.epoch + 1, last_error = ''
        WHERE job.state <> 'waiting' OR job.due_at > excluded.due_at";

/// Writes a job unless it exists.
pub(super) const ENSURE: &str = "INSERT INTO jobs (id, owner_org_id, kind, payload, due_at)
    VALUES ($1, $2, $3, $4, now() + $5::bigint * interval '1 millisecond') ON CONFLICT (id) DO NOTHING";

/// Claims due jobs: one of each org in turn, from the org after `$1` on. The index leads from one org with due jobs to
/// the next, however many they are, and reads nothing while none is due.
pub(super) const CLAIM: &str = "WITH RECURSIVE turn (org, number) AS (
        (SELECT owner_org_id, 1::bigint FROM jobs
            WHERE state <> 'dead' AND due_at <= now() AND owner_org_id > $1 AND kind = ANY ($4)
                AND EXISTS (SELECT FROM jobs WHERE state <> 'dead' AND due_at <= now())
            ORDER BY owner_org_id LIMIT 1)
        UNION ALL
        SELECT (SELECT owner_org_id FROM jobs
            WHERE state <> 'dead' AND due_at <= now() AND owner_org_id > turn.org AND kind = ANY ($4)
            ORDER BY owner_org_id LIMIT 1), turn.number + 1
        FROM turn WHERE turn.org IS NOT NULL AND turn.number < $2
    ), picked AS (
        SELECT due.id FROM turn CROSS JOIN LATERAL (
            SELECT id FROM jobs
            WHERE state <> 'dead' AND due_at <= now() AND owner_org_id = turn.org AND kind = ANY ($4)
            ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
        ) AS due
        WHERE turn.org <> ALL ($3) LIMIT $5
    )
    UPDATE jobs SET state = 'running', due_at = now() + $6::bigint * interval '1 millisecond',
        attempts = attempts + 1, epoch = epoch + 1
    FROM picked WHERE jobs.id = picked.id
    RETURNING jobs.id, owner_org_id, kind, payload, attempts, epoch";

/// Renews the lease of a claim.
pub(super) const RENEW: &str = "UPDATE jobs SET due_at = now() + $3::bigint * interval '1 millisecond'
    WHERE id = $1 AND epoch = $2 AND state = 'running'";

/// Settles a claim.
pub(super) const SETTLE: &str = "UPDATE jobs SET state = $3,
        due_at = now() + $4::bigint * interval '1 millisecond', attempts = $5, last_error = $6
    WHERE id = $1 AND epoch = $2 AND state = 'running'";

/// Deletes a claimed job that is done.
pub(super) const DELETE: &str = "DELETE FROM jobs WHERE id = $1 AND epoch = $2 AND state = 'running'";

/// Deletes all jobs of an org.
pub(super) const DELETE_ALL: &str = "DELETE FROM jobs WHERE owner_org_id = $1";

/// Lists the jobs in a state.
pub(super) const LIST: &str =
    "SELECT id, owner_org_id, kind, state, due_at, attempts, last_error, created FROM jobs
    WHERE state = $1 ORDER BY created DESC, id LIMIT $2 OFFSET $3";

/// Makes a dead job due again.
pub(super) const REVIVE: &str =
    "UPDATE jobs SET state = 'waiting', due_at = now(), attempts = 0, epoch = epoch + 1
    WHERE id = $1 AND state = 'dead'";

/// Deletes jobs that died before this time.
pub(super) const DELETE_DEAD: &str =
    "DELETE FROM jobs WHERE state = 'dead' AND due_at < now() - $1::bigint * interval '1 millisecond'";
