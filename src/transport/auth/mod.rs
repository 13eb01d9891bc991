//! Who is calling, and what a caller may do; shared by the front ends.

pub mod signed_url;
