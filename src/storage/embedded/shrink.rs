//! Giving space back to the file system after a burst.

use rusqlite::Connection;

/// Unused pages that are kept for the next burst (32 MiB).
const SPARE_PAGES_MIN: i64 = 4096;

/// Pages given back in one commit. Each may have to be moved, and the requests that
/// share the commit wait for all of them: some milliseconds.
const SLICE: i64 = 64;

/// Cuts a slice off the file if more than a quarter of it lies unused;
/// returns whether there is more to cut.
pub fn give_back(conn: &Connection) -> rusqlite::Result<bool> {
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let unused = pragma("freelist_count")?;
    let spare = SPARE_PAGES_MIN.max(pragma("page_count")? / 4);
    if unused <= spare {
        return Ok(false);
    }
    let slice = SLICE.min(unused - spare);
    // The pragma frees one page per step.
    let mut vacuum = conn.prepare(&format!("PRAGMA incremental_vacuum({slice})"))?;
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    Ok(unused - slice > spare)
}
