//! The queues of a project, and its topics.

use std::sync::Arc;

use mongodb::bson::{Document, doc};

use super::error::OpResult;
use super::layout::{index, spelled};
use super::queues::metadata_of;
use super::records::Records;
use super::store::Store;
use crate::model::{ProjectId, QueueFilter, QueueKind, QueueRecord};

/// Records read at once when a filter may drop most of them.
const CHUNK: u32 = 500;

/// The project's queues that pass `filter`, ascending by name.
pub async fn list(
    store: &Store,
    project: &ProjectId,
    filter: &QueueFilter,
) -> OpResult<Vec<QueueRecord>> {
    let most = filter.limit as usize;
    let drops = filter.name_contains.is_some() || !filter.metadata.is_empty();
    let chunk = if drops { filter.limit.max(CHUNK) } else { filter.limit };
    let records = store.records_of(filter.kind);
    let first = Records::project(project);
    let mut behind = format!("{first}{}", filter.marker.as_deref().unwrap_or_default());
    let mut found = Vec::new();
    while found.len() < most {
        let field = records.field;
        let mut page = records
            .documents
            .find(records.named(names_behind(&spelled(project), &behind)))
            .sort(doc! { field: 1 })
            .projection(doc! { "_id": 0, field: 1, "m": 1 })
            .limit(i64::from(chunk))
            .batch_size(chunk.saturating_add(1))
            .await?;
        let mut seen = 0;
        while found.len() < most && page.advance().await? {
            let record = page.current();
            seen += 1;
            record.get_str(field)?.clone_into(&mut behind);
            let Some(key) = records.key(&behind).filter(|key| key.project == *project) else {
                continue;
            };
            let metadata = metadata_of(store, record);
            if filter.matches(&key.name, &metadata) {
                found.push(QueueRecord { name: key.name, metadata: Arc::new(metadata) });
            }
        }
        if seen < chunk {
            break;
        }
    }
    Ok(found)
}

/// How many queues the project has, or how many topics.
pub async fn count(store: &Store, project: &ProjectId, kind: QueueKind) -> OpResult<u64> {
    let records = store.records_of(kind);
    let mut names = names_behind(&spelled(project), &Records::project(project));
    let project = spelled(project);
    let legal = format!("^{}/[A-Za-z0-9_.-]{{1,64}}\\z", escaped(&project));
    names.insert("$regex", legal);
    let all = records.documents.count_documents(records.named(names));
    Ok(all.hint(index(records.index)).await?)
}

/// Scoped names behind `behind` that begin with `project/`: in byte order the
/// digit `0` follows the slash. Queues of a project `project/more` are among
/// them. The project is spelled as in documents.
fn names_behind(project: &str, behind: &str) -> Document {
    doc! { "$gt": behind, "$lt": format!("{project}0") }
}

/// A pattern that matches just this text.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => pattern.push_str("\\x00"),
            c if c.is_ascii_punctuation() => pattern.extend(['\\', c]),
            c => pattern.push(c),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_in_a_project_is_a_pattern() {
        assert_eq!(escaped("acme-1"), "acme\\-1");
        assert_eq!(escaped("a.b*é\0\n"), "a\\.b\\*é\\x00\n");
    }
}
