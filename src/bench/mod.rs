//! A load generator for any v2 server.
