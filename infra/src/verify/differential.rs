//! Compares the folded streams with those of another implementation.

use kymograph_app::kernel::reference_fold::{ReferenceFold, ReferenceState, StreamName};
use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;

use super::log::is_same_json;
use super::{FoldedStreams, Report};

/// Lets the reference fold an org's streams, and compares its states with ours. A stream that a server has written to
/// since the snapshot is left to the next verification.
pub(super) async fn check(
    reference: &dyn ReferenceFold,
    org: OrgId,
    streams: &FoldedStreams,
    report: &mut Report,
) -> Result<()> {
    let readable = streams.iter().filter(|(_, folded)| folded.is_readable);
    let names = readable.map(|(stream_id, folded)| StreamName {
        stream_type: folded.stream_type.clone(),
        stream_id: stream_id.clone(),
    });
    let mut compare = |stream_id: &str, again: Result<ReferenceState, String>| {
        let Some(folded) = streams.get(stream_id) else { return Ok(()) };
        match again {
            Ok(again) if again.version > folded.version => {}
            Ok(again) => {
                let state = folded.fold.state().map_err(Error::internal)?;
                if again.version == folded.version && is_same_json(&again.state, &state) {
                    report.streams_by_reference += 1;
                } else {
                    report.fault(format!("org {org}: the reference folds {stream_id} to another state"));
                }
            }
            Err(error) => report.fault(format!("org {org}: the reference cannot read {stream_id}: {error}")),
        }
        Ok(())
    };
    reference.fold(org, names.collect(), &mut compare).await
}
