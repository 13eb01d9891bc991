//! The background loops, one per file.
