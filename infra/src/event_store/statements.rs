//! The statements of a commit, apart from those of the projections.

/// Moves the end of an org's log, if it still is where it is expected to be; breaks a check if not.
pub const MOVE_HEAD: &str = "INSERT INTO heads (org_id, pos, last_at) VALUES ($1, $2, $3)
    ON CONFLICT (org_id) DO UPDATE SET last_at = excluded.last_at,
        pos = CASE WHEN heads.pos = $4 THEN excluded.pos ELSE -1 END";

/// Reads the end of an org's log, and whether the org is there. What ends an org moves its log, so this is as true as the
/// end is.
pub const READ_HEAD: &str =
    "SELECT h.pos, h.last_at, coalesce((s.state::json ->> 'exists')::boolean, false) AS is_open
    FROM heads h LEFT JOIN streams s ON s.org_id = $1 AND s.stream_id = 'org-' || $1 WHERE h.org_id = $1";

/// Forgets the answers of an org that have had their time.
pub(super) const FORGET_ANSWERS: &str = "DELETE FROM idempotency WHERE org_id = $1 AND expires_at <= $2";

/// Forgets all answers of an org.
pub(super) const FORGET_ALL_ANSWERS: &str = "DELETE FROM idempotency WHERE org_id = $1";

/// Keeps the answer of a request.
pub(super) const KEEP_ANSWER: &str =
    "INSERT INTO idempotency (org_id, key, request_hash, outcome, expires_at)
    VALUES ($1, $2, $3, $4, $5)";
