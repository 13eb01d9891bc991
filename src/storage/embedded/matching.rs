//! Whether slips and bodies belong together, row by row.

use std::ops::ControlFlow;

use rusqlite::{Connection, Row};

use super::body;
use super::bundle;
use super::slip::{self, Place, Slip};

/// The step of the layout from which on numbers and markers differ.
const MARKERS_SINCE: usize = 2;

/// The step that brought due messages.
pub const DUE_SINCE: usize = 5;

/// The step that brought slips and bodies of several messages.
pub const RUNS_SINCE: usize = 6;

/// Shows this connection a file of an older layout as one of the present: its
/// tables hide behind views.
pub fn show_as_present(conn: &Connection, steps: usize) -> rusqlite::Result<()> {
    if steps >= RUNS_SINCE {
        return Ok(());
    }
    let moved = if steps < MARKERS_SINCE { ", number IS NOT NULL AS moved" } else { "" };
    for place in ["ready", "claimed", "delayed"] {
        conn.execute_batch(&format!(
            "CREATE TEMP VIEW {place} AS SELECT *, 1 AS count{moved} FROM main.{place}"
        ))?;
    }
    conn.execute_batch(
        "CREATE TEMP TABLE bundle (first INTEGER PRIMARY KEY, queue, marker, count, alive);
         CREATE TEMP TABLE bundle_text (first INTEGER PRIMARY KEY, parts, text);",
    )
}

/// What does not match: slips without bodies, bodies without slips, numbers and
/// markers that will be used again, altered texts.
pub fn faults(conn: &Connection, steps: usize) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut note = |count: u64, what: &str| {
        if count > 0 {
            found.push(format!("{count} {what}"));
        }
    };
    for (place, name) in
        [(Place::Ready, "ready"), (Place::Claimed, "claimed"), (Place::Delayed, "delayed")]
    {
        note(without_body(conn, place)?, &format!("messages in {name} have no body"));
    }
    note(without_slip(conn)?, "bodies belong to no message");
    note(
        number(
            conn,
            "SELECT (SELECT count(*) FROM body WHERE number >= free)
                 + (SELECT coalesce(sum(min(count, first + count - free)), 0) FROM bundle
                    WHERE first + count > free)
             FROM (SELECT coalesce((SELECT next FROM sequence), 0) AS free)",
        )?,
        "messages have a number that will be given out again",
    );
    if steps >= MARKERS_SINCE {
        note(
            number(
                conn,
                "SELECT coalesce(sum(min(count, marker + count - coalesce(queue.next, 0))), 0)
                 FROM (SELECT queue, marker, count FROM ready
                       UNION ALL SELECT queue, marker, count FROM claimed
                       UNION ALL SELECT queue, marker, count FROM delayed) AS slip
                 JOIN queue ON queue.number = slip.queue
                 WHERE marker + count > coalesce(queue.next, 0)",
            )?,
            "messages have a marker that will be given out again",
        );
    }
    note(altered(conn, "body")? + altered_in_bundles(conn)?, "bodies are not what was written");
    if steps >= DUE_SINCE {
        note(altered(conn, "due")?, "due messages are not what was written");
    }
    Ok(found)
}

fn number(conn: &Connection, sql: &str) -> rusqlite::Result<u64> {
    conn.query_row(sql, [], |row| row.get(0))
}

fn without_body(conn: &Connection, place: Place) -> rusqlite::Result<u64> {
    let mut missing = 0;
    for queue in place.queues(conn)? {
        let mut failure = None;
        place.walk(conn, queue, slip::START, |slip| match body::count(conn, &slip) {
            Ok(found) => {
                missing += slip.count - found;
                ControlFlow::Continue(())
            }
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        })?;
        failure.map_or(Ok(()), Err)?;
    }
    Ok(missing)
}

fn without_slip(conn: &Connection) -> rusqlite::Result<u64> {
    let mut lost = 0;
    let mut own = conn.prepare("SELECT queue, coalesce(marker, number), 1, 1 FROM body")?;
    let mut bundles = conn.prepare("SELECT queue, marker, count, alive FROM bundle")?;
    for statement in [&mut own, &mut bundles] {
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            lost += lost_of(conn, row)?;
        }
    }
    Ok(lost)
}

/// Of the bodies in a row that should have slips, those that have none.
fn lost_of(conn: &Connection, row: &Row<'_>) -> rusqlite::Result<u64> {
    let (queue, marker, count, alive): (i64, u64, u64, u64) =
        (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let mut slips = 0;
    for place in Place::ALL {
        let there: Vec<Slip> = place.within(conn, queue, marker..marker + count)?;
        slips += slip::total(&there);
    }
    Ok(alive.saturating_sub(slips))
}

/// How many texts in a table are not what was written.
fn altered(conn: &Connection, table: &str) -> rusqlite::Result<u64> {
    let mut bodies = conn.prepare(&format!("SELECT number, crc, text FROM {table}"))?;
    let mut rows = bodies.query([])?;
    let mut altered = 0;
    while let Some(row) = rows.next()? {
        if !body::is_intact(row.get(0)?, row.get(1)?, row.get_ref(2)?.as_bytes()?) {
            altered += 1;
        }
    }
    Ok(altered)
}

/// The same in bundles. One without texts, or with fewer than it counts, has lost
/// the others.
fn altered_in_bundles(conn: &Connection) -> rusqlite::Result<u64> {
    let mut firsts = conn.prepare("SELECT first FROM bundle")?;
    let mut rows = firsts.query([])?;
    let mut altered = 0;
    while let Some(row) = rows.next()? {
        let Some(bundle) = bundle::around(conn, row.get(0)?)? else { continue };
        let texts = bundle.texts(conn)?;
        let intact = |number: &u64| {
            let found = texts.as_ref().and_then(|texts| texts.get(*number));
            found.is_some_and(|it| body::is_intact(*number, it.crc, it.text))
        };
        altered += bundle.count - (bundle.first..bundle.end()).filter(intact).count() as u64;
    }
    Ok(altered)
}
