//! REST v2 as its clients see it.

mod bad_input;
mod claims;
mod dead_letters;
mod delay;
mod down;
mod encryption;
mod events;
mod flavors;
mod headers;
mod health;
mod home;
mod messages_get_delete;
mod messages_list;
mod messages_post;
mod metadata;
mod pools;
mod queue_patch;
mod queues;
mod samples;
mod share;
mod subscriptions;
mod topics;
mod waiting;
