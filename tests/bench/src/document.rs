//! Dashboards of a realistic shape.

use serde_json::{Value, json};

/// Ten characters of a dashboard that a client replaces by a number, so that no two saves are equal.
pub(crate) const MARK: &str = "##########";

/// A dashboard of about this many bytes: panels with queries, thresholds and a place in the grid.
///
/// Its texts are random words, because a repeated panel would compress far better in the database than real dashboards
/// do.
pub(crate) fn dashboard(uid: &str, bytes: usize) -> Value {
    let mut words =
        Words(uid.bytes().fold(0x9e37_79b9_7f4a_7c15, |seed, byte| seed.rotate_left(7) ^ u64::from(byte)));
    let mut panels = Vec::new();
    let mut size = 0;
    while size < bytes {
        let panel = panel(panels.len() + 1, &mut words);
        size += panel.to_string().len() + 1;
        panels.push(panel);
    }
    json!({
        "uid": uid,
        "title": format!("Measured {uid}"),
        "description": format!("Revision {MARK}"),
        "tags": ["measured", "nodes"],
        "timezone": "browser",
        "editable": true,
        "graphTooltip": 1,
        "schemaVersion": 41,
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "job", "type": "query", "query": "label_values(up, job)"}]},
        "annotations": {"list": []},
        "panels": panels,
    })
}

fn panel(id: usize, words: &mut Words) -> Value {
    let source = json!({"type": "prometheus", "uid": words.next()});
    let query = |reference: &str, words: &mut Words| {
        json!({
            "refId": reference,
            "datasource": source,
            "expr": format!(
                "sum by (instance, {}) (rate({}_{}_total{{job=\"$job\", {}=~\"{}\"}}[5m])) / {}",
                words.next(), words.next(), words.next(), words.next(), words.next(), id * 17
            ),
            "legendFormat": format!("{{{{instance}}}} {}", words.next()),
            "interval": "",
            "intervalFactor": 2,
        })
    };
    json!({
        "id": id,
        "type": "timeseries",
        "title": format!("{} {} {}", words.next(), words.next(), words.next()),
        "description": format!("{} of {}", words.next(), words.next()),
        "gridPos": {"x": id % 2 * 12, "y": id / 2 * 8, "w": 12, "h": 8},
        "datasource": source,
        "targets": [query("A", words), query("B", words)],
        "fieldConfig": {
            "defaults": {
                "unit": "bytes",
                "color": {"mode": "palette-classic"},
                "custom": {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never"},
                "thresholds": {"mode": "absolute", "steps": [
                    {"color": "green", "value": null}, {"color": "red", "value": id * 1000 + 80}
                ]},
            },
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["mean", "max"]}},
    })
}

/// Random words, reproducible from a seed.
struct Words(u64);

impl Words {
    fn next(&mut self) -> String {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        format!("{:08x}", self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_wanted_size_and_one_mark() {
        let text = dashboard("one", 50_000).to_string();
        assert!((50_000..53_000).contains(&text.len()), "{}", text.len());
        assert_eq!(text.matches(MARK).count(), 1);
        assert_eq!(text, dashboard("one", 50_000).to_string());
        assert_ne!(text, dashboard("two", 50_000).to_string());
    }
}
