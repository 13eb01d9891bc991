//! A look at the records of subscriptions.

use mongodb::Client;
use mongodb::bson::doc;

use super::{Findings, InspectResult, index_findings};
use crate::config::MongodbSettings;
use crate::storage::mongodb::indexes;
use crate::storage::mongodb::layout::subscription_database;
use crate::storage::mongodb::store::Documents;
use crate::storage::mongodb::subscriptions::decode;

/// Reads all records.
pub async fn look(
    client: &Client,
    settings: &MongodbSettings,
    findings: &mut Findings,
) -> InspectResult<()> {
    let database = client.database(&subscription_database(&settings.database));
    let records: Documents = database.collection("subscriptions");
    let mut cursor = records.find(doc! {}).await?;
    let mut count = 0;
    while cursor.advance().await? {
        if count == 0 {
            index_findings(&records, &indexes::OF_SUBSCRIPTIONS, findings).await?;
        }
        count += 1;
        if let Err(foreign) = decode(cursor.current()) {
            let what = "subscriptions that are not as Zaqar writes them: nusku steps over them";
            findings.hinders(what, &foreign);
        }
    }
    let what =
        "subscriptions: nusku tells of what is posted to it, a Zaqar of what is posted to that";
    findings.add(false, what, count, &records.namespace());
    Ok(())
}
