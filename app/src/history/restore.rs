//! Bringing back what an object was.

use std::future::Future;
use std::pin::Pin;

use kymograph_domain::past::{AnyPast, NOTHING, is_there};
use kymograph_domain::registry::{AggregateVisitor, visit};
use kymograph_domain::{AccessLevel, Stream};
use serde::{Deserialize, Serialize};

use super::image::past;
use super::{Histories, HistoryOf, Subject};
use crate::Scope;
use crate::error::{Error, Result};

/// What a restoration came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Restored {
    /// The version of the object now.
    pub version: i64,
    /// Whether anything had to be changed.
    pub is_changed: bool,
}

impl Histories {
    /// Makes an object what it was at a version, by the commands that lead there: each is decided as if somebody had
    /// sent it, and what it breaks it breaks as usual.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn restore(
        &self,
        scope: &Scope,
        of: &'static HistoryOf,
        key: &str,
        version: i64,
    ) -> Result<Restored> {
        let subject = self.subject(scope, of, key, AccessLevel::Edit).await?;
        let subject = &subject;
        self.last(subject).await?;
        self.entry(subject, version).await?;
        let restore = Restore { histories: self, subject, version };
        let restored = visit(of.noun, restore);
        let restored =
            restored.ok_or_else(|| Error::internal(format!("{} is no aggregate type", of.noun)))?;
        restored.await
    }
}

struct Restore<'a> {
    histories: &'a Histories,
    subject: &'a Subject,
    version: i64,
}

type Restoring<'a> = Pin<Box<dyn Future<Output = Result<Restored>> + Send + 'a>>;

impl<'a> AggregateVisitor for Restore<'a> {
    type Output = Restoring<'a>;

    fn visit<A: Stream>(self) -> Restoring<'a> {
        let Self { histories, subject: Subject { scope, stream, of }, version } = self;
        Box::pin(async move {
            let past = &past::<A>(&*histories.reader, scope, stream, version).await?;
            if past.image().map_err(Error::internal)? == NOTHING {
                return Err(Error::invalid(format!(
                    "it was deleted in version {version}: choose another version"
                )));
            }
            histories
                .commands
                .run(scope, |mut unit| async move {
                    let mut object = unit.load_stream::<A>(stream).await?;
                    if let Some(permission) = of.create
                        && !is_there(&*object).map_err(Error::internal)?
                    {
                        scope.require(permission)?;
                    }
                    histories.require_place(scope, of, &*object, &past.state).await?;
                    let before = object.version();
                    let commands = object.restoration(&past.state, &past.events);
                    let cannot =
                        || Error::invalid(format!("a {} cannot be brought back", of.noun.replace('_', " ")));
                    for command in commands.ok_or_else(cannot)? {
                        object.tell(command).await?;
                    }
                    let version = object.version();
                    unit.record(object)?;
                    Ok(unit.decided(Restored { version, is_changed: version != before }))
                })
                .await
        })
    }
}
