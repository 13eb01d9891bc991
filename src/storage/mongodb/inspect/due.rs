//! A look at what a nusku has left to tell subscribers of.

use mongodb::bson::doc;

use super::{Findings, InspectResult, index_findings};
use crate::storage::mongodb::document::due::decode;
use crate::storage::mongodb::indexes;
use crate::storage::mongodb::store::Documents;

/// Reads all due messages of a partition.
pub async fn look(due: &Documents, findings: &mut Findings) -> InspectResult<()> {
    let place = due.namespace();
    let mut cursor = due.find(doc! {}).await?;
    let mut count = 0;
    while cursor.advance().await? {
        if count == 0 {
            index_findings(due, &indexes::OF_DUE, findings).await?;
        }
        count += 1;
        if let Err(foreign) = decode(cursor.current()) {
            let what = "due messages that are not as nusku writes them: it skips them";
            findings.hinders(what, &format_args!("{foreign} ({place})"));
        }
    }
    let what = "messages that subscribers are still to be told of: nusku goes on with that";
    findings.add(false, what, count, &place);
    Ok(())
}
