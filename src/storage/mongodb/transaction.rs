//! Transactions: several documents change together, or none does.

use mongodb::ClientSession;
use mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT;
use mongodb::options::{Acknowledgment, WriteConcern};

use super::error::OpResult;
use super::store::Store;

/// Begins a transaction. Dropping the session before [`commit`] undoes it.
pub async fn begin(store: &Store) -> OpResult<ClientSession> {
    let mut session = store.client.start_session().await?;
    // Nothing is acknowledged before a majority has it: `commit` sees to that.
    let primary_only = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
    session.start_transaction().write_concern(primary_only).await?;
    Ok(session)
}

/// Makes the changes visible to whoever reads from the primary. They last only
/// once [`settle`] has returned.
///
/// If this fails with something that may pass, the transaction has not
/// happened, or `settle` would have said so: all of it can be done again.
pub async fn publish(session: &mut ClientSession) -> OpResult<()> {
    settled(session).await
}

/// Waits until a majority has the changes. Committing once more is what makes
/// the server wait; it changes nothing.
pub async fn settle(session: &mut ClientSession) -> OpResult<()> {
    settled(session).await
}

/// Commits: the changes are visible and last.
pub async fn commit(session: &mut ClientSession) -> OpResult<()> {
    publish(session).await?;
    settle(session).await
}

/// One commit whose outcome is known at the end: as long as the server cannot
/// tell, it is asked again. The caller's deadline ends the loop.
async fn settled(session: &mut ClientSession) -> OpResult<()> {
    loop {
        match session.commit_transaction().await {
            Ok(()) => return Ok(()),
            Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {
                tracing::debug!(%error, "the outcome of a commit is unknown, asking again");
            }
            Err(error) => return Err(error.into()),
        }
    }
}
