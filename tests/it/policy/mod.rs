//! Who may do what: the rule language, the files, and the policy on the wire.

mod endpoints;
mod files;
mod vectors;
