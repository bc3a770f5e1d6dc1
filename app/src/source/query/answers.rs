//! The answers to the queries of a request: the results of sources and of expressions.

use std::collections::BTreeMap;
use std::sync::Arc;

use kymograph_domain::OrgId;
use kymograph_domain::source::expression::Plan;
use kymograph_domain::source::frame::Frame;

use super::flight::Answered;
use crate::Workers;
use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::work::INLINE_BYTES;
use crate::source::backend::{QueryResult, QueryResults};
use crate::source::room::AnswerShare;

/// The results of the queries of a request by their `refId`.
pub struct QueryAnswers {
    /// The results of sources, which can be shared with other requests.
    asked: Vec<Arc<Answered>>,
    /// The results of expressions.
    made: QueryResults,
    plan: Plan,
    share: AnswerShare,
}

/// Serialized answers.
pub struct WrittenAnswers {
    /// The text.
    pub text: Vec<u8>,
    /// Whether a query failed.
    pub has_failed: bool,
    /// The memory of the text, held as long as the text.
    pub share: AnswerShare,
}

impl QueryAnswers {
    /// Evaluates expressions, on the threads for expensive work: their inputs do not reveal how long it takes.
    pub(super) async fn work_out(
        asked: Vec<Arc<Answered>>,
        plan: Plan,
        share: AnswerShare,
        workers: &Workers,
        org: OrgId,
    ) -> Result<Self> {
        let mut answers = Self { asked, made: QueryResults::new(), plan, share };
        if answers.plan.is_empty() {
            return Ok(answers);
        }
        let bytes = answers.asked.iter().flat_map(|answered| answered.results.values().flatten());
        let bytes = bytes.flatten().map(Frame::bytes).sum::<usize>().max(INLINE_BYTES + 1);
        let evaluate = move || {
            let made = answers.plan.evaluate(|name| answers.source(name));
            answers.made = made.into_iter().map(|(name, made)| (name, made.map_err(Into::into))).collect();
            answers
        };
        let answers = workers.run(org, bytes, evaluate).await?;
        let made = answers.made.values().flatten().flatten().map(Frame::bytes).sum();
        answers.share.take(made).await?;
        Ok(answers)
    }

    /// The frames of a query to a source, unless it failed.
    fn source(&self, name: &str) -> Option<&[Frame]> {
        let result = self.asked.iter().find_map(|answered| answered.results.get(name));
        result?.as_deref().ok()
    }

    /// The results that are not hidden, by `refId`.
    #[must_use]
    pub fn results(&self) -> BTreeMap<&str, &QueryResult> {
        let asked = self.asked.iter().flat_map(|answered| &answered.results);
        let shown = asked.filter(|(name, _)| !self.plan.is_hidden(name));
        shown.chain(&self.made).map(|(name, result)| (name.as_str(), result)).collect()
    }

    /// Writes the answers into `expected` bytes, or into more if that is not enough.
    pub(super) async fn write(
        self,
        workers: &Workers,
        org: OrgId,
        expected: usize,
        write: impl Fn(&Self, usize) -> Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Result<WrittenAnswers> {
        let has_failed = self.results().values().any(|result| result.is_err());
        let (answers, write, mut room) = (Arc::new(self), Arc::new(write), 0);
        let text = loop {
            let wanted = if room == 0 { expected } else { room };
            // Without more memory the answer is too large.
            answers.share.take(wanted).await?;
            room += wanted;
            let (answers, write) = (answers.clone(), write.clone());
            match workers.run(org, room, move || write(&answers, room)).await? {
                Err(error) if error.kind() == ErrorKind::TooLarge => {}
                written => break written?,
            }
        };
        let answers = Arc::into_inner(answers).ok_or_else(|| Error::internal("the answers are in use"))?;
        let Self { asked, made, share, .. } = answers;
        drop((asked, made));
        share.keep(text.capacity());
        Ok(WrittenAnswers { text, has_failed, share })
    }
}
