//! Transactions: several documents change together, or none does.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use mongodb::ClientSession;
use mongodb::bson::doc;
use mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT;
use tokio::time::sleep;

use super::error::OpResult;
use super::options::{APPLICATION, write_concern};
use super::store::Store;

/// The pause before the outcome of a commit is asked for once more.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Begins a transaction. Dropping the session before [`commit`] undoes it.
pub async fn begin(store: &Store) -> OpResult<ClientSession> {
    let mut session = store.client.start_session().await?;
    session.start_transaction().write_concern(write_concern()).await?;
    Ok(session)
}

/// Begins a transaction if the server has them; a stand-alone one has not.
pub async fn begin_if_any(store: &Store) -> OpResult<Option<ClientSession>> {
    if store.transactions { begin(store).await.map(Some) } else { Ok(None) }
}

/// Commits: the changes are visible, and a majority has them. As long as the server
/// cannot tell, it is asked again; the caller's deadline ends that.
///
/// # Errors
///
/// That of the server. If it passes ([`super::error::Fault::is_passing`]), nothing has
/// happened, also if a primary that is gone by now had said yes.
pub async fn commit(session: &mut ClientSession) -> OpResult<()> {
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
