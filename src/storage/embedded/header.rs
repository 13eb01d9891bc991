//! What the first bytes of the file tell without SQLite.
//!
//! SQLite takes an empty file for a new one and throws its log away, and it
//! reads what is missing behind a log as zeros: both are found here first.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::FILE_NAME;
use super::error::OpenError;

/// What every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Bytes of the header.
const HEADER_BYTES: usize = 100;

/// The log beside the file.
pub fn log_of(dir: &Path) -> PathBuf {
    dir.join(format!("{FILE_NAME}-wal"))
}

/// What is wrong with the file's header and size; empty if nothing is.
///
/// # Errors
///
/// [`OpenError::Missing`] if there is no file, or an empty one as a server
/// leaves it that dies in its very first moment.
pub fn faults(dir: &Path) -> Result<Vec<String>, OpenError> {
    let path = dir.join(FILE_NAME);
    if !path.is_file() {
        return Err(OpenError::Missing(dir.to_owned()));
    }
    let log_bytes = log_of(dir).metadata().map_or(0, |about| about.len());
    let fault = read(&path).map_err(|error| OpenError::Directory(dir.to_owned(), error))?;
    match fault {
        Header::Empty if log_bytes == 0 => Err(OpenError::Missing(dir.to_owned())),
        Header::Empty => Ok(vec!["the file is empty, its log is not".to_owned()]),
        Header::NotSqlite => Ok(vec!["the file does not begin as a database".to_owned()]),
        // With a log, part of the pages may lie only there.
        Header::Pages { page_bytes, pages, file_bytes }
            if log_bytes == 0 && page_bytes * pages > file_bytes =>
        {
            let expected = page_bytes * pages;
            Ok(vec![format!("the file has {file_bytes} bytes, its header says {expected}")])
        }
        Header::Pages { .. } => Ok(Vec::new()),
    }
}

enum Header {
    Empty,
    NotSqlite,
    Pages { page_bytes: u64, pages: u64, file_bytes: u64 },
}

fn read(path: &Path) -> io::Result<Header> {
    let mut file = File::open(path)?;
    let file_bytes = file.metadata()?.len();
    if file_bytes == 0 {
        return Ok(Header::Empty);
    }
    let mut bytes = [0; HEADER_BYTES];
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Ok(Header::NotSqlite);
        }
        read => read?,
    }
    if !bytes.starts_with(MAGIC) {
        return Ok(Header::NotSqlite);
    }
    let page_bytes = match u16::from_be_bytes([bytes[16], bytes[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let pages = u32::from_be_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]);
    Ok(Header::Pages { page_bytes, pages: u64::from(pages), file_bytes })
}
