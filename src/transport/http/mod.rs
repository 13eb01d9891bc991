//! REST: Zaqar API v2.
