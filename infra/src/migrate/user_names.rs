//! Fills `user_names` for users that are older than the table.

use kymograph_domain::account::user::Profile;
use kymograph_domain::kernel::text::fold;
use tokio_postgres::{Error, Transaction};

/// The migration that creates the table.
pub(super) const MIGRATION: i32 = 19;

const INSERT: &str = "INSERT INTO user_names (name, user_id, is_login, is_email)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::boolean[], $4::boolean[])";
const BEYOND_ASCII: &str = "SELECT login, actor_id FROM actor_logins
    WHERE octet_length(login) <> char_length(login) OR login <> btrim(login)";

/// Fills the table, and folds the logins of actors. A login that is the address of another user stays: the owner of the
/// address is found first.
pub(super) async fn fill(transaction: &Transaction<'_>) -> Result<(), Error> {
    let (mut names, mut users, mut is_login, mut is_email) = (vec![], vec![], vec![], vec![]);
    for row in transaction.query("SELECT id, login, email FROM users ORDER BY id", &[]).await? {
        let profile = Profile { login: row.get("login"), email: row.get("email"), ..Profile::default() };
        for name in profile.names() {
            names.push(name.name);
            users.push(row.get::<_, i64>("id"));
            is_login.push(name.is_login);
            is_email.push(name.is_email);
        }
    }
    transaction.execute(INSERT, &[&names, &users, &is_login, &is_email]).await?;
    fold_actor_logins(transaction).await
}

async fn fold_actor_logins(transaction: &Transaction<'_>) -> Result<(), Error> {
    for row in transaction.query(BEYOND_ASCII, &[]).await? {
        let (login, actor): (String, i64) = (row.get(0), row.get(1));
        let delete = "DELETE FROM actor_logins WHERE login = $1 AND actor_id = $2";
        transaction.execute(delete, &[&login, &actor]).await?;
        let insert = "INSERT INTO actor_logins (login, actor_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        transaction.execute(insert, &[&fold(&login), &actor]).await?;
    }
    Ok(())
}
