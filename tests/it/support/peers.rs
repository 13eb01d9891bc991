//! Where `tools/provision` has put the programs that nusku is tested against.

use std::env;
use std::path::{Path, PathBuf};

/// The server of MongoDB; `NUSKU_TEST_MONGOD` names another one.
pub fn mongod() -> PathBuf {
    find("NUSKU_TEST_MONGOD", "mongodb/bin/mongod")
}

/// What `variable` says, or `place` among the peers.
fn find(variable: &str, place: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let found =
        env::var_os(variable).map_or_else(|| target.join("peers").join(place), PathBuf::from);
    assert!(found.exists(), "{} is not there: run tools/provision", found.display());
    found
}
