//! Transactions: several documents change together, or none does.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use mongodb::ClientSession;
use mongodb::bson::doc;
use mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT;
use mongodb::options::{Acknowledgment, WriteConcern};
use tokio::time::sleep;

use super::error::{Fault, NO_SUCH_TRANSACTION, OpResult};
use super::options::APPLICATION;
use super::store::Store;

/// The pause before the outcome of a commit is asked for once more.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Begins a transaction. Dropping the session before [`commit`] undoes it.
pub async fn begin(store: &Store) -> OpResult<ClientSession> {
    let mut session = store.client.start_session().await?;
    // Nothing is acknowledged before a majority has it: `commit` sees to that.
    let primary_only = WriteConcern::builder().w(Acknowledgment::Nodes(1)).build();
    session.start_transaction().write_concern(primary_only).await?;
    Ok(session)
}

/// Begins a transaction if the server has them; a stand-alone one has not.
pub async fn begin_if_any(store: &Store) -> OpResult<Option<ClientSession>> {
    if store.transactions { begin(store).await.map(Some) } else { Ok(None) }
}

/// Makes the changes visible to whoever reads from the primary. They last only
/// once [`settle`] has returned; until then a change of primary can undo them.
pub async fn publish(session: &mut ClientSession) -> OpResult<()> {
    known(session).await
}

/// Waits until a majority has the changes. Committing once more makes the
/// server wait; it changes nothing.
pub async fn settle(session: &mut ClientSession) -> OpResult<()> {
    known(session).await
}

/// Commits: the changes are visible and last.
pub async fn commit(session: &mut ClientSession) -> OpResult<()> {
    publish(session).await?;
    settle(session).await
}

/// One commit whose outcome is known at the end: as long as the server cannot
/// tell, it is asked again. The caller's deadline ends the loop.
async fn known(session: &mut ClientSession) -> OpResult<()> {
    loop {
        match session.commit_transaction().await {
            Ok(()) => return Ok(()),
            Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => {
                tracing::debug!(%error, "the outcome of a commit is unknown, asking again");
                sleep(ASK_AGAIN).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether the transaction turns out not to have happened, although it was
/// visible: the primary that had it was replaced before a majority had it.
#[must_use]
pub fn is_lost(fault: &Fault) -> bool {
    fault.code() == Some(NO_SUCH_TRANSACTION)
}

/// A transaction whose process did not come back for so long is in the way.
const ABANDONED: Duration = Duration::from_secs(2);

/// Does `work`, which may have to wait for transactions. While that takes long,
/// those are ended that nobody will end any more.
pub async fn unhindered<T>(store: &Store, work: impl Future<Output = OpResult<T>>) -> OpResult<T> {
    let mut work = pin!(work);
    loop {
        let clearing = pin!(async {
            sleep(ABANDONED).await;
            if store.transactions { end_abandoned(store).await } else { Ok(()) }
        });
        match select(work, clearing).await {
            Either::Left((done, _)) => return done,
            Either::Right((cleared, waiting)) => {
                if let Err(fault) = cleared {
                    tracing::debug!(%fault, "abandoned transactions could not be ended");
                }
                work = waiting;
            }
        }
    }
}

/// Ends transactions of nusku processes that were killed in the midst of one:
/// left alone, the server would keep others out of their queues for a minute.
/// A process that was merely slow begins its transaction anew.
///
/// # Errors
///
/// If the server lets us neither see nor end them.
pub async fn end_abandoned(store: &Store) -> OpResult<()> {
    let admin = store.client.database("admin");
    let idle = i64::try_from(ABANDONED.as_micros()).unwrap_or(i64::MAX);
    let mut sessions = admin
        .aggregate([
            doc! { "$currentOp": { "idleSessions": true } },
            doc! { "$match": {
                "type": "idleSession",
                "appName": APPLICATION,
                "transaction.timeInactiveMicros": { "$gt": idle },
            } },
        ])
        .await?;
    let mut abandoned = Vec::new();
    while sessions.advance().await? {
        let id = sessions.current().get_document("lsid").and_then(|lsid| lsid.get_binary("id"));
        abandoned.extend(id.ok().map(|id| doc! { "id": id.to_binary() }));
    }
    if !abandoned.is_empty() {
        tracing::warn!(transactions = abandoned.len(), "ending what a killed process left behind");
        admin.run_command(doc! { "killSessions": abandoned }).await?;
    }
    Ok(())
}
