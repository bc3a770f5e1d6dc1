//! Given, when and then for tests with more than one command.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use crate::kernel::aggregate::Stream;

/// The folded state of events.
pub(crate) fn folded<A: Stream>(events: &[A::Event]) -> A {
    events.iter().cloned().fold(A::default(), |mut state, event| {
        Aggregate::apply(&mut state, event);
        state
    })
}

/// The events that follow the given ones when the object handles commands one after another.
pub(crate) async fn decided<A: Stream>(
    given: &[A::Event],
    commands: Vec<A::Command>,
) -> Result<Vec<A::Event>, A::Error> {
    let (mut state, sink) = (folded::<A>(given), EventSink::default());
    for command in commands {
        state.handle(command, &(), &sink).await?;
    }
    Ok(sink.collect().await)
}
