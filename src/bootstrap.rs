//! The only file that names concrete drivers and front ends: build, serve, shut down.
