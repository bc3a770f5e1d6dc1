//! An audit event as a line of CSV (RFC 4180).

use kymograph_app::record::audit::AuditRecord;

/// The names of the columns.
const COLUMNS: &str = "id,orgId,occurredAt,action,schemaVersion,outcome,actorType,actorId,actorLogin,targetType,\
    targetUid,targetName,targetVersion,ip,userAgent,requestId,correlationId,traceId,tokenId,authMethod,reason,count,query";

/// The header line, with a column for the changes if they are requested.
pub(super) fn header(with_changes: bool) -> String {
    format!("{COLUMNS}{}\r\n", if with_changes { ",summary" } else { "" })
}

/// Writes an event with its line break.
pub(super) fn write_line(out: &mut Vec<u8>, record: &AuditRecord<'_>, with_changes: bool) {
    push_number(out, record.id);
    out.push(b',');
    push_number(out, record.org.0);
    push_text(out, &record.occurred_at.rfc3339_micros());
    push_text(out, record.action);
    out.push(b',');
    push_number(out, record.schema_version.into());
    push_text(out, record.outcome.name());
    push_text(out, record.actor.kind);
    out.push(b',');
    push_number(out, record.actor.id.0);
    push_text(out, record.actor.login);
    push_text(out, record.target.kind);
    push_text(out, record.target.uid);
    push_text(out, record.target.name.unwrap_or_default());
    out.push(b',');
    if let Some(version) = record.target.version {
        push_number(out, version);
    }
    push_text(out, &record.ip);
    push_text(out, &record.user_agent);
    push_text(out, record.request_id);
    push_text(out, record.correlation_id);
    push_text(out, record.trace_id);
    out.push(b',');
    if let Some(id) = record.token_id {
        push_number(out, id);
    }
    push_text(out, &record.auth_method);
    let access = record.access.as_ref();
    push_text(out, access.and_then(|access| access.reason.as_deref()).unwrap_or_default());
    out.push(b',');
    if let Some(count) = access.and_then(|access| access.count) {
        push_number(out, count);
    }
    push_text(out, access.and_then(|access| access.query.as_deref()).unwrap_or_default());
    if with_changes {
        push_text(out, &summary(record));
    }
    out.extend_from_slice(b"\r\n");
}

/// The summary of an event's changes.
fn summary(record: &AuditRecord<'_>) -> String {
    let sentences = record.changes.iter().flat_map(|diff| &diff.summary);
    sentences.map(|sentence| sentence.text.as_str()).collect::<Vec<_>>().join("; ")
}

fn push_number(out: &mut Vec<u8>, number: i64) {
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(out, &number);
}

/// The first characters of formulas.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// Separators of cells and lines in some locales and programs.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// Adds a comma and a text. An apostrophe is prepended where a spreadsheet could interpret a text or a part of it as a
/// formula: many texts are chosen by users, some of them unauthenticated.
fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b',');
    let needs_quotes = is_formula(text) || text.contains(SEPARATORS) || text.contains([',', '"']);
    if !needs_quotes {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    if is_formula(text) || text.starts_with(SEPARATORS) {
        out.push(b'\'');
    }
    for (index, character) in text.char_indices() {
        if character == '"' {
            out.push(b'"');
        }
        let end = index + character.len_utf8();
        out.extend_from_slice(&text.as_bytes()[index..end]);
        if SEPARATORS.contains(&character) && is_formula(&text[end..]) {
            out.push(b'\'');
        }
    }
    out.push(b'"');
}

fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches(' ').starts_with(FORMULA)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> String {
        let mut out = Vec::new();
        push_text(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn plain_texts_stay_plain() {
        assert_eq!(cell("curl/8.0 (x y)"), ",curl/8.0 (x y)");
        assert_eq!(cell(""), ",");
        assert_eq!(cell("a=b"), ",a=b");
    }

    #[test]
    fn texts_that_would_break_the_line_are_quoted() {
        assert_eq!(cell("a,b"), r#","a,b""#);
        assert_eq!(cell("say \"x\"\n"), ",\"say \"\"x\"\"\n\"");
    }

    #[test]
    fn no_text_is_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "＝1", ";x"] {
            assert_eq!(cell(formula), format!(",\"'{formula}\""));
        }
        for separator in [";", "\t", "\r\n"] {
            let guarded = format!(",\"'{separator}'=1\"");
            assert_eq!(cell(&format!("{separator}=1")), guarded);
            assert_eq!(cell(&format!("a{separator}@b")), format!(",\"a{separator}'@b\""));
        }
        assert_eq!(cell("curl/8.0 (x; y)"), ",\"curl/8.0 (x; y)\"");
        assert_eq!(cell("Renamed a; =1"), ",\"Renamed a;' =1\"");
        assert_eq!(cell(" =1"), ",\"' =1\"");
        assert_eq!(cell("=HYPERLINK(\"http://x\")"), ",\"'=HYPERLINK(\"\"http://x\"\")\"");
    }
}
