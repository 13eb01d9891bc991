//! The reserved keys of queue metadata: their rules and their defaults.
