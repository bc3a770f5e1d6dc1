//! The answers to the queries of a request: the results of sources and of expressions.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kymograph_domain::OrgId;
use kymograph_domain::source::expression::{MAX_VALUES, Plan};
use kymograph_domain::source::frame::Frame;

use super::flight::Answered;
use crate::Workers;
use crate::kernel::error::{ErrorKind, Result};
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
    pub text: Bytes,
    /// Whether a query failed.
    pub has_failed: bool,
    /// The memory of the text, held as long as the text.
    pub held: HeldAnswers,
}

/// The memory of a text, which can be shared with other requests.
pub struct HeldAnswers {
    _shared: Option<Arc<Answered>>,
    _own: Option<AnswerShare>,
}

/// The size of a value of an expression.
const BYTES_OF_VALUE: usize = 8;
/// The number of values that expressions may make at first: a multiple of the values of their inputs, and a minimum. Only if
/// these are not enough, they are evaluated again.
const MADE_OF_VALUE: usize = 3;
const FIRST_VALUES: usize = 8 * 1024;

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
        let bytes = bytes.flatten().map(Frame::bytes).sum::<usize>();
        let (mut taken, mut values) =
            (0, (bytes / BYTES_OF_VALUE * MADE_OF_VALUE).clamp(FIRST_VALUES, MAX_VALUES));
        loop {
            // The memory comes first: nothing is held while this waits for it.
            answers.share.take(values * BYTES_OF_VALUE - taken).await?;
            taken = values * BYTES_OF_VALUE;
            let evaluate = move || {
                let evaluation = answers.plan.evaluate(values, |name| answers.source(name));
                (answers, evaluation)
            };
            let evaluation;
            (answers, evaluation) = workers.run(org, bytes.max(INLINE_BYTES + 1), evaluate).await?;
            if evaluation.ran_out_of_values && values < MAX_VALUES {
                values = MAX_VALUES;
                continue;
            }
            let made = evaluation.results.into_iter();
            answers.made = made.map(|(name, made)| (name, made.map_err(Into::into))).collect();
            break;
        }
        let made = answers.made.values().flatten().flatten().map(Frame::bytes).sum();
        answers.share.keep(made);
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

    /// Serializes the answers, with `expected` bytes if that turns out to be enough. Requests that share the answers of one call
    /// and have no other queries share the text as well.
    pub(super) async fn write(
        self,
        workers: &Workers,
        org: OrgId,
        expected: usize,
        write: impl Write,
    ) -> Result<WrittenAnswers> {
        let has_failed = self.results().values().any(|result| result.is_err());
        let (answers, write) = (Arc::new(self), Arc::new(write));
        if let Some(shared) = answers.only_call() {
            let text = shared.text.get_or_try_init(async || {
                Self::written(answers.clone(), &shared.share, workers, org, expected, write).await
            });
            let text = text.await?.clone();
            return Ok(WrittenAnswers {
                text,
                has_failed,
                held: HeldAnswers { _shared: Some(shared), _own: None },
            });
        }
        let share = answers.share.part();
        let text = Self::written(answers.clone(), &share, workers, org, expected, write).await?;
        Ok(WrittenAnswers { text, has_failed, held: HeldAnswers { _shared: None, _own: Some(share) } })
    }

    /// The call that all of the answer comes from; `None` if there are others, expressions or hidden results.
    fn only_call(&self) -> Option<Arc<Answered>> {
        let [only] = self.asked.as_slice() else { return None };
        let is_whole = self.plan.is_empty() && !only.results.keys().any(|name| self.plan.is_hidden(name));
        is_whole.then(|| only.clone())
    }

    async fn written(
        answers: Arc<Self>,
        share: &AnswerShare,
        workers: &Workers,
        org: OrgId,
        expected: usize,
        write: Arc<impl Write>,
    ) -> Result<Bytes> {
        // Until the text is there it is a part of its own, which is given back if this is dropped.
        let (part, mut room) = (share.part(), 0);
        let text = loop {
            let wanted = if room == 0 { expected } else { room };
            part.take(wanted).await?;
            room += wanted;
            let (answers, write) = (answers.clone(), write.clone());
            match workers.run(org, room, move || write(&answers, room)).await? {
                Err(error) if error.kind() == ErrorKind::TooLarge => {}
                written => break written?,
            }
        };
        part.keep(text.capacity());
        share.absorb(&part);
        Ok(text.into())
    }
}

/// Serializes answers within a number of bytes.
pub(super) trait Write: Fn(&QueryAnswers, usize) -> Result<Vec<u8>> + Send + Sync + 'static {}

impl<W: Fn(&QueryAnswers, usize) -> Result<Vec<u8>> + Send + Sync + 'static> Write for W {}
