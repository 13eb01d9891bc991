//! What the posts of a commit put into common rows.
//!
//! Producers come in crowds. Their messages have places one behind the other, so
//! the slips of like messages become one run, and their bodies one bundle, until
//! something else in the commit wants to see them.

use rusqlite::Connection;

use super::body::{self, Written};
use super::bundle::Draft;
use super::slip::{Place, Slip};

/// Messages of a commit that are not written yet.
#[derive(Debug, Default)]
pub struct Posting {
    run: Option<Slip>,
    bodies: Option<Gathered>,
}

#[derive(Debug)]
struct Gathered {
    draft: Draft,
    /// The one body in the draft, as long as it is alone: it gets an ordinary row.
    first: (Slip, Option<String>),
}

impl Posting {
    /// Keeps a body for the message of that slip.
    pub fn add_body(
        &mut self,
        conn: &Connection,
        slip: &Slip,
        checksum: Option<&str>,
        body: &Written<'_>,
    ) -> rusqlite::Result<()> {
        if let Some(gathered) = &mut self.bodies
            && gathered.draft.add(slip, checksum, body)
        {
            return Ok(());
        }
        self.save_bodies(conn)?;
        let mut draft = Draft::new(slip);
        if draft.add(slip, checksum, body) {
            let first = (slip.clone(), checksum.map(str::to_owned));
            self.bodies = Some(Gathered { draft, first });
            return Ok(());
        }
        body::insert(conn, slip, checksum, body)
    }

    /// Frees the message of that slip.
    pub fn add_ready(&mut self, conn: &Connection, slip: &Slip) -> rusqlite::Result<()> {
        if self.run.as_mut().is_some_and(|run| run.absorb(slip)) {
            return Ok(());
        }
        self.save_run(conn)?;
        self.run = Some(slip.clone());
        Ok(())
    }

    /// Writes all that is kept.
    pub fn save(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        self.save_bodies(conn)?;
        self.save_run(conn)
    }

    fn save_bodies(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        match self.bodies.take() {
            Some(Gathered { draft, first: (slip, checksum) }) if draft.count() == 1 => {
                body::insert(conn, &slip, checksum.as_deref(), &draft.first())
            }
            Some(gathered) => gathered.draft.save(conn),
            None => Ok(()),
        }
    }

    fn save_run(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        match self.run.take() {
            Some(run) => run.insert(&mut Place::Ready.inserter(conn)?),
            None => Ok(()),
        }
    }
}
