//! The statements of a commit, apart from those of the projections.

/// Moves the head of an org's log; violates a check if it is not at the expected position.
pub const MOVE_HEAD: &str = "INSERT INTO heads (org_id, pos, last_at) VALUES ($1, $2, $3)
    ON CONFLICT (org_id) DO UPDATE SET last_at = excluded.last_at,
        pos = CASE WHEN heads.pos = $4 THEN excluded.pos ELSE -1 END";

/// Reads the head of an org's log, and whether the org exists. Deleting an org moves its head, so both are consistent.
pub const READ_HEAD: &str =
    "SELECT h.pos, h.last_at, coalesce((s.state::json ->> 'exists')::boolean, false) AS is_open
    FROM heads h LEFT JOIN streams s ON s.org_id = $1 AND s.stream_id = 'org-' || $1 WHERE h.org_id = $1";

/// Deletes expired responses of an org.
pub(super) const FORGET_ANSWERS: &str = "DELETE FROM idempotency WHERE org_id = $1 AND expires_at <= $2";

/// Deletes all stored responses of an org.
pub(super) const FORGET_ALL_ANSWERS: &str = "DELETE FROM idempotency WHERE org_id = $1";

/// Stores the response of a request.
pub(super) const KEEP_ANSWER: &str =
    "INSERT INTO idempotency (org_id, key, request_hash, outcome, expires_at)
    VALUES ($1, $2, $3, $4, $5)";
