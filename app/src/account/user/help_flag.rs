//! The hints that a user has seen, as a bit mask whose meaning is the client's.

use kymograph_domain::account::user::{User, UserCommand};

use super::Users;
use crate::Scope;
use crate::kernel::error::Result;

impl Users {
    /// Adds bits to the actor's help flags and returns all of them.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn add_help_flags(&self, scope: &Scope, flags: i64) -> Result<i64> {
        self.tell_help_flags(scope, UserCommand::AddHelpFlags(flags)).await
    }

    /// Clears all of the actor's help flags and returns the remaining ones, which is 0.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn clear_help_flags(&self, scope: &Scope) -> Result<i64> {
        self.tell_help_flags(scope, UserCommand::ClearHelpFlags).await
    }

    async fn tell_help_flags(&self, scope: &Scope, command: UserCommand) -> Result<i64> {
        let command = &command;
        self.commands
            .run(scope, |mut unit| async move {
                let mut user = unit.load_from_server::<User>(&scope.actor().user_id).await?;
                user.tell(command.clone()).await?;
                let flags = user.help_flags;
                unit.record(user)?;
                Ok(unit.decided(flags))
            })
            .await
    }
}
