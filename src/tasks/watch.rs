//! Tells when files change, so that what was read from them is read again.
//!
//! Files are looked at once per interval instead of having the system tell:
//! this also works on network mounts, on what is swapped by a symbolic link,
//! and on a file that is deleted and comes back.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Task;

/// Files, and what they looked like when they were last looked at.
#[derive(Debug)]
pub struct Files(Vec<(PathBuf, Option<Look>)>);

/// What changes with the content of a file: another file of its name, an edit
/// in place, and even an edit whose author put the old times back.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// If it is a directory, the files in it.
    files: BTreeMap<OsString, Look>,
}

impl Files {
    /// Looks at files, links followed; one that is missing may come later, and a
    /// directory changes with the files right in it. To miss no change, look *before*
    /// the files are first read.
    #[must_use]
    pub fn look(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(
            paths
                .into_iter()
                .map(|path| {
                    let look = Look::at(&path);
                    (path, look)
                })
                .collect(),
        )
    }

    /// Whether any of them changed, came or went since the last look.
    pub fn changed(&mut self) -> bool {
        let mut changed = false;
        for (path, before) in &mut self.0 {
            let now = Look::at(path);
            changed |= *before != now;
            *before = now;
        }
        changed
    }
}

impl Look {
    /// `None` if there is nothing, or nothing to be seen.
    fn at(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        let mut look = Self::of(&metadata);
        if metadata.is_dir() {
            let files = std::fs::read_dir(path).into_iter().flatten().flatten();
            look.files = files
                .filter_map(|file| {
                    let metadata = std::fs::metadata(file.path()).ok()?;
                    Some((file.file_name(), Self::of(&metadata)))
                })
                .collect();
        }
        Some(look)
    }

    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            files: BTreeMap::new(),
        }
    }
}

/// Looks at `files` once per `interval` and calls `on_change` when any of them
/// has changed, on a thread that may wait for disks. A file may be seen half
/// written: `on_change` should keep what it has if what it reads is wrong, and
/// is called again when the rest is there.
pub fn start(
    mut files: Files,
    interval: Duration,
    mut on_change: impl FnMut() + Send + 'static,
) -> Task {
    Task::start(move |mut stopping| async move {
        loop {
            stopping.pause(interval).await;
            if stopping.now() {
                return;
            }
            let looked = tokio::task::spawn_blocking(move || {
                if files.changed() {
                    on_change();
                }
                (files, on_change)
            });
            match looked.await {
                Ok(back) => (files, on_change) = back,
                Err(error) => {
                    tracing::error!(%error, "files are no longer watched");
                    return;
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    const SOON: Duration = Duration::from_millis(1);
    const PATIENCE: Duration = Duration::from_mins(1);

    #[test]
    fn every_way_to_change_a_file_is_seen_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let other = directory.path().join("other");
        fs::write(&path, "one").unwrap();
        let mut files = Files::look([path.clone()]);
        let mut expect = |what: &str| {
            assert!(files.changed(), "{what}");
            assert!(!files.changed(), "{what}, twice");
        };

        fs::write(&path, "longer").unwrap();
        expect("edited in place");
        fs::write(&other, "longer").unwrap();
        fs::rename(&other, &path).unwrap();
        expect("replaced by one of the same length");
        fs::remove_file(&path).unwrap();
        expect("deleted");
        fs::write(&path, "longer").unwrap();
        expect("back");
        fs::write(&other, "longer").unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        expect("a link to a twin of the same age");
    }

    #[test]
    fn a_directory_changes_with_the_files_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = Files::look([directory.path().to_owned()]);
        let path = directory.path().join("late");
        for text in ["made", "edited in place"] {
            fs::write(&path, text).unwrap();
            assert!(files.changed(), "{text}");
            assert!(!files.changed(), "{text}, twice");
        }
        fs::remove_file(&path).unwrap();
        assert!(files.changed());
    }

    #[test]
    fn a_change_before_the_first_round_is_not_missed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut files = Files::look([path.clone(), directory.path().join("never")]);
        assert!(!files.changed());
        fs::write(&path, "made").unwrap();
        assert!(files.changed());
    }

    #[tokio::test]
    async fn whoever_waits_is_told_until_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let told = Arc::new(Semaphore::new(0));
        let tell = Arc::clone(&told);
        let task = start(Files::look([path.clone()]), SOON, move || tell.add_permits(1));
        for text in ["one", "three"] {
            fs::write(&path, text).unwrap();
            let heard = tokio::time::timeout(PATIENCE, told.acquire()).await;
            heard.expect("is told in time").unwrap().forget();
        }
        task.stop().await;
        // A write can be seen in two steps: made, then filled.
        let before = told.available_permits();
        fs::write(&path, "after the end").unwrap();
        tokio::time::sleep(20 * SOON).await;
        assert_eq!(told.available_permits(), before);
    }
}
