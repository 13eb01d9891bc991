//! Finding messages that can be handed out.

use mongodb::bson::{Bson, Document, RawDocument, doc};

use super::document::{Stored, date};
use super::error::OpResult;
use super::floors::{Floor, Floors, View};
use super::heads;
use super::layout::index;
use super::store::{QueueEntry, Store};

/// The most messages that are looked for at a time.
pub const MOST_CANDIDATES: usize = 1000;
/// The most bytes of documents that are read at a time.
const MOST_BYTES: usize = 32 << 20;
/// Markers that a scan may as well pass over instead of being done in two parts.
const SMALL_GAP: i64 = 256;
/// Markers that no two searches of a second pass over: what another process
/// releases there may have to wait so long.
const LONG_WAY: i64 = 10_000;

/// What a search came to.
#[derive(Debug, Default)]
pub struct Found {
    /// Free messages, by ascending marker.
    pub messages: Vec<Stored>,
    /// Whether there is nothing else to be found.
    pub all: bool,
}

impl Found {
    /// The greatest marker.
    fn last(&self) -> Option<i64> {
        self.messages.last().and_then(|last| i64::try_from(last.message.marker).ok())
    }
}

/// Finds the oldest messages that are free, up to `most`, all of which the
/// caller is going to claim.
pub async fn find(
    store: &Store,
    floors: &Floors,
    queue: &QueueEntry,
    view: View,
    most: usize,
) -> OpResult<Found> {
    let most = most.min(MOST_CANDIDATES);
    let freed = floors.freed();
    let head = heads::first(store, queue).await?;
    // Asked first: what is posted after the search has a greater marker.
    let settled = store.heads.settled(queue);
    let floor = floors.get(queue, view).filter(|floor| floor.marker - head > SMALL_GAP);
    let (from, mut whole) = floor.map_or((head, true), |floor| (floor.marker, floor.firm));
    let mut search = Search { store, queue, view, most, found: Found::default(), bytes: 0 };
    search.scan(from, None).await?;
    if search.found.all && !whole {
        search.scan_below(head, from).await?;
        whole = true;
    }
    let mut marker = search.found.last().map_or(from, |last| last.saturating_add(1));
    if search.found.all {
        marker = marker.max(from).max(settled);
    }
    let firm = whole && marker - head > LONG_WAY;
    floors.raise(queue, Floor { view, marker, firm }, freed);
    Ok(search.found)
}

/// A search on its way.
struct Search<'a> {
    store: &'a Store,
    queue: &'a QueueEntry,
    view: View,
    most: usize,
    found: Found,
    bytes: usize,
}

impl Search<'_> {
    /// Puts what is free between the markers before what was found.
    async fn scan_below(&mut self, from: i64, end: i64) -> OpResult<()> {
        let behind = std::mem::take(&mut self.found.messages);
        self.scan(from, Some(end)).await?;
        self.found.messages.extend(behind);
        self.found.all &= self.found.messages.len() <= self.most;
        self.found.messages.truncate(self.most);
        Ok(())
    }

    /// Collects from marker `from` on, before `end`. Documents that are no
    /// messages leave gaps in a page, so it goes on until there is enough.
    async fn scan(&mut self, from: i64, end: Option<i64>) -> OpResult<()> {
        let mut bounds = doc! { "$gte": from };
        if let Some(end) = end {
            bounds.insert("$lt", end);
        }
        self.found.all = false;
        while self.wants_more() {
            let wanted = self.most - self.found.messages.len();
            let Some(last) = self.page(bounds.clone(), wanted).await? else {
                self.found.all = true;
                return Ok(());
            };
            bounds.remove("$gte");
            bounds.insert("$gt", last);
        }
        Ok(())
    }

    fn wants_more(&self) -> bool {
        self.found.messages.len() < self.most && self.bytes < MOST_BYTES
    }

    /// Collects one page; returns the marker of its last document, if there may
    /// be more behind it.
    async fn page(&mut self, bounds: Document, wanted: usize) -> OpResult<Option<Bson>> {
        let mut cursor = self
            .store
            .partition(self.queue)
            .messages
            .find(self.filter(bounds))
            .sort(doc! { "k": 1 })
            .hint(index("active"))
            .limit(i64::try_from(wanted).unwrap_or(i64::MAX))
            .batch_size(u32::try_from(wanted).unwrap_or(u32::MAX))
            .await?;
        let mut last = None;
        let mut seen = 0;
        while self.wants_more() && cursor.advance().await? {
            let document = cursor.current();
            seen += 1;
            last = marker(document);
            if let Some(message) = self.store.decode(document) {
                self.bytes += document.as_bytes().len();
                self.found.messages.push(message);
            }
        }
        let exhausted = seen < wanted && self.wants_more();
        Ok(last.filter(|_| !exhausted))
    }

    fn filter(&self, bounds: Document) -> Document {
        let now = self.view.now.seconds();
        let mut filter = doc! {
            "p_q": &self.queue.p_q,
            "k": bounds,
            "c.e": { "$lte": now },
            "e": { "$gt": date(self.view.now) },
            "tx": Bson::Null,
        };
        if !self.view.include_delayed {
            filter.insert("d", doc! { "$not": { "$gt": now } });
        }
        filter
    }
}

/// The marker of a document, whatever kind of number it is.
fn marker(document: &RawDocument) -> Option<Bson> {
    document.get("k").ok().flatten().and_then(|k| k.try_into().ok())
}
