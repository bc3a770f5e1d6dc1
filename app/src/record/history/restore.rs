//! Restoring an earlier state of an object.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;

use kymograph_domain::Stream;
use kymograph_domain::kernel::past::{AnyPast, NOTHING, Past};
use kymograph_domain::registry;
use kymograph_domain::rights::resource_permission::Resource;
use serde::{Deserialize, Serialize};

use super::ended::without_ended;
use super::image::{Room, past};
use super::right::{closed_list, place_of, resource_of};
use super::{Histories, Purpose, Subject};
use crate::Scope;
use crate::kernel::error::{Error, Result};
use crate::kernel::history::HistoryOf;
use crate::kernel::id_allocator::IdKind;
use crate::kernel::noun::Noun;
use crate::kernel::work::Admitted;
use crate::registry::{NounVisitor, visit};

/// The result of a restoration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Restored {
    /// The current version of the object.
    pub version: i64,
    /// Whether the object was changed.
    pub is_changed: bool,
    /// The parts of the object that are not restored, as a message for users.
    pub not_restored: Option<String>,
}

impl Histories {
    /// Restores the state of an object at a version, by commands: each is decided as if a client had sent it, by the
    /// same rules.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn restore(
        &self,
        scope: &Scope,
        of: &'static HistoryOf,
        key: &str,
        version: i64,
    ) -> Result<Restored> {
        let subject = self.subject(scope, of, key, Purpose::Restore).await?;
        let subject = &subject;
        self.last(subject).await?;
        let position = self.entry(subject, version).await?.position;
        let restore = Restore { histories: self, subject, version, position };
        let restored = visit(of.noun, restore);
        let restored =
            restored.ok_or_else(|| Error::internal(format!("{} is not an aggregate type", of.noun)))?;
        restored.await
    }

    async fn new_id(&self, scope: &Scope) -> Result<i64> {
        self.ids.next_id(scope.org(), IdKind::Object).await
    }

    /// The folder or dashboard that had the uid at a version. Only the event that created it always contains its
    /// numeric id.
    async fn born<A: Stream>(
        &self,
        subject: &Subject,
        version: i64,
        admitted: &Admitted,
    ) -> Result<Option<Resource>> {
        let Subject { scope, stream, of, .. } = subject;
        let types = registry::beginnings(of.noun);
        if types.is_empty() {
            return Ok(None);
        }
        let version = self.reader.find_last_of(scope, stream, types, version).await?.unwrap_or(version);
        Ok(resource_of(&self.past::<A>(subject, version, admitted).await?.state))
    }

    async fn past<A: Stream>(&self, subject: &Subject, version: i64, admitted: &Admitted) -> Result<Past<A>> {
        let Subject { scope, stream, .. } = subject;
        let (reader, workers) = (&*self.reader, &self.workers);
        let read = past(reader, workers, scope, stream, version, Room::OF_REQUEST, admitted).await?;
        Ok(read.0)
    }
}

struct Restore<'a> {
    histories: &'a Histories,
    subject: &'a Subject,
    version: i64,
    position: i64,
}

type Restoring<'a> = Pin<Box<dyn Future<Output = Result<Restored>> + Send + 'a>>;

impl<'a> NounVisitor for Restore<'a> {
    type Output = Restoring<'a>;

    fn visit<A: Noun>(self) -> Restoring<'a> {
        let Self { histories, subject, version, position } = self;
        let Subject { scope, stream, of, .. } = subject;
        Box::pin(async move {
            // It is held as long as the past state is in memory.
            let admitted = &Admitted::default();
            let past = &histories.past::<A>(subject, version, admitted).await?;
            if past.image().map_err(Error::internal)? == NOTHING {
                return Err(Error::invalid(format!(
                    "it was deleted in version {version}: choose another version"
                )));
            }
            let had = &histories.born::<A>(subject, version, admitted).await?;
            histories
                .commands
                .run(scope, |mut unit| async move {
                    let mut object = unit.load_stream::<A>(stream).await?;
                    let is_there = Stream::exists(&*object);
                    histories.require_edit_still(subject, &mut unit, &*object).await?;
                    if let Some(permission) = of.create.filter(|_| !is_there) {
                        scope.require(permission)?;
                    }
                    let (before, left) = (object.version(), place_of(&*object).filter(|_| is_there));
                    histories.must_be_same(subject, had.as_ref(), &*object, position).await?;
                    let is_numbered = !is_there && !A::BEGINNINGS.is_empty();
                    let new_id = if is_numbered { histories.new_id(scope).await? } else { 0 };
                    let commands = object.restoration(&past.state, &past.events, new_id);
                    let cannot =
                        || Error::invalid(format!("a {} cannot be restored", of.noun.replace('_', " ")));
                    let mut commands = commands.ok_or_else(cannot)?;
                    let (reader, back) = (&*histories.reader, &HashSet::new());
                    without_ended(reader, scope, &*object, &mut commands, position, back).await?;
                    for command in commands {
                        object.tell(command).await?;
                    }
                    histories.require_place(subject, &mut unit, left, &*object, position).await?;
                    object.follow_return(&mut unit, scope, &histories.endings).await?;
                    let version = object.version();
                    let list = closed_list(&unit, had.as_ref(), &*object, new_id).await?;
                    unit.record(object)?;
                    if let Some(list) = list {
                        unit.record(list)?;
                    }
                    let not_restored = A::NOT_RESTORED.map(str::to_owned);
                    Ok(unit.decided(Restored { version, is_changed: version != before, not_restored }))
                })
                .await
        })
    }
}
