//! The driver contract: one test per promise of `src/storage/mod.rs`.
//!
//! Every driver passes all of it, or it is no driver:
//!
//! ```text
//! contract!(embedded, Embedded::fresh());
//! ```
//!
//! makes one named test per case, each on a fresh store. Cases move the time
//! themselves and never sleep; concurrent ones use real tasks. The model runs
//! first: it proves that the suite can be passed at all.

mod adopt;
mod catalogue;
mod claim_ends;
mod claims;
mod concurrency;
mod crowd;
mod dead_letters;
mod delays;
mod deletes;
mod deliveries;
mod expiry;
mod flavors;
mod harness;
mod holds;
mod lasting;
mod markers;
mod messages;
mod pools;
mod queues;
mod sealed;
mod store;
mod subscriptions;
mod topics;
mod volume;
mod words;

pub use crowd::Crowd;
pub use deliveries::Listener;
pub use deliveries::new as new_subscription;
pub use harness::{Embedded, Harness, Model, Mongodb};
pub use store::{
    Store, bodies, client, everything, key, key_of, metadata, order, plain, quoted, within,
};

/// Runs every case on the stores that `$fresh` makes.
macro_rules! contract {
    ($driver:ident, $fresh:expr) => {
        mod $driver {
            use super::*;

            contract!(@cases $fresh, queues: [
                a_queue_is_made_once,
                metadata_comes_back_as_it_was_given,
                metadata_changes_only_if_it_is_what_was_expected,
                a_deleted_queue_is_gone_with_everything_in_it,
                deleting_a_missing_queue_is_no_error,
                a_queue_made_anew_starts_empty,
                queues_are_listed_by_the_bytes_of_their_names,
                queues_are_listed_page_by_page,
                a_name_filter_is_literal,
                a_metadata_filter_needs_stored_equals,
                a_page_is_full_even_when_a_filter_drops_most,
                projects_do_not_see_each_other,
                odd_project_names_stay_apart,
            ]);
            contract!(@cases $fresh, messages: [
                posting_to_a_missing_queue_makes_nothing,
                a_post_gives_ids_in_the_order_of_its_messages,
                a_message_comes_back_as_it_was_posted,
                bodies_come_back_with_the_same_value,
                a_large_batch_stays_whole_and_in_order,
                listing_starts_strictly_behind_the_marker,
                listing_can_start_behind_a_message,
                listing_can_start_behind_a_message_that_is_gone,
                a_listing_can_leave_out_a_client,
                a_page_is_full_even_when_most_are_left_out,
                claimed_messages_are_listed_only_on_request,
                get_answers_each_message_once_by_id,
                get_shows_claimed_and_delayed_messages,
                a_missing_queue_is_empty,
                ids_of_other_queues_and_projects_name_nothing,
                stats_count_and_name_the_ends,
            ]);
            contract!(@cases $fresh, deletes: [
                a_free_message_is_deleted,
                a_claimed_message_needs_its_claim,
                a_claim_that_expired_still_opens_its_message,
                a_claim_that_was_followed_opens_nothing,
                a_claim_on_a_free_message_is_an_error,
                a_missing_message_is_deleted_already,
                made_up_ids_name_nothing,
                many_are_deleted_claimed_or_not,
                many_with_claims_are_deleted_all_or_none,
                many_with_claims_ignore_ids_that_name_nothing,
                pop_takes_the_oldest_free_messages,
                pop_shows_an_expired_claim,
                what_was_looked_at_is_popped_if_it_is_free,
                purge_spares_what_is_claimed,
                purge_empties_a_large_queue,
                purge_touches_no_other_queue,
            ]);
            contract!(@cases $fresh, claims: [
                a_claim_takes_the_oldest_free_messages,
                a_claim_says_what_it_holds_and_for_how_long,
                fifteen_of_twenty_can_be_claimed,
                there_may_be_nothing_to_claim,
                claiming_makes_no_queue,
                a_claim_shows_what_it_still_holds,
                an_emptied_claim_is_gone,
                a_claim_belongs_to_its_queue,
                a_claim_stretches_messages_that_would_not_outlive_it,
                a_claim_leaves_longer_lives_alone,
                a_stretched_life_outlives_the_claim,
            ]);
            contract!(@cases $fresh, claim_ends: [
                a_claim_ends_when_its_time_is_over,
                an_expired_claim_gives_its_messages_back_in_place,
                a_renewed_claim_lives_from_now,
                a_claim_can_be_renewed_to_a_shorter_life,
                renewing_stretches_messages,
                only_a_live_claim_can_be_renewed,
                a_released_message_is_free_at_once_in_its_old_place,
                releasing_what_does_not_live_is_no_error,
                releasing_an_old_claim_leaves_the_next_one_alone,
                a_release_keeps_the_stretched_life,
            ]);
            contract!(@cases $fresh, dead_letters: [
                a_message_claimed_too_often_moves,
                a_moved_message_is_itself_but_free,
                moved_messages_count_against_the_limit,
                moved_messages_go_to_the_end,
                a_dead_letter_queue_keeps_its_metadata,
                a_dead_letter_life_starts_anew,
                without_a_dead_letter_life_the_old_one_goes_on,
                a_maximum_of_zero_moves_at_once,
                release_renewal_and_ruleless_claims_reset_the_count,
                a_queue_may_bury_its_dead_in_itself,
            ]);
            contract!(@cases $fresh, delays: [
                a_delayed_message_is_not_handed_out,
                a_delay_ends_on_the_second,
                many_delays_end_on_the_same_second,
                a_delayed_message_keeps_its_place,
                a_claim_may_include_delayed_messages,
                a_claim_leaves_the_delays_of_others_alone,
                pop_and_purge_ignore_delays,
                stats_count_delayed_messages_but_do_not_name_them,
            ]);
            contract!(@cases $fresh, expiry: [
                a_message_dies_on_the_second,
                a_message_with_no_life_is_never_seen,
                an_expired_message_is_beyond_every_method,
                many_dead_messages_hide_no_living_one,
                a_claimed_message_does_not_die_before_its_claim,
                gc_collects_what_expired_and_nothing_else,
                gc_misses_nothing_that_comes_late,
                gc_comes_to_an_end_over_many_queues,
                two_collectors_at_once_are_harmless,
                gc_after_a_queue_was_deleted_spares_its_successor,
            ]);
            contract!(@cases $fresh, markers: [
                markers_grow_in_the_order_of_posts,
                deleting_the_newest_does_not_bring_its_marker_back,
                pop_and_purge_do_not_bring_markers_back,
                expiry_does_not_bring_markers_back,
                a_queue_made_anew_goes_on_counting,
                a_restart_does_not_bring_markers_back,
                a_restart_after_a_deletion_does_not_either,
                a_clock_set_back_does_not_bring_markers_back,
                markers_tell_nothing_of_other_queues,
                a_new_queue_tells_nothing_of_deleted_ones,
                ids_tell_nothing_of_each_other,
                an_observer_meets_a_moved_message_once_more,
            ]);
            contract!(@cases $fresh, volume: [
                volume_counts_all_queues_of_all_projects,
                volume_counts_expired_claims_as_free,
                a_store_that_works_answers_a_ping,
            ]);
            contract!(@cases $fresh, subscriptions: [
                a_subscription_comes_back_as_it_was_made,
                a_subscriber_has_one_subscription_of_a_queue,
                one_of_many_wishes_makes_the_subscription,
                subscriptions_are_listed_in_the_order_of_their_making,
                subscriptions_are_listed_page_by_page,
                a_change_leaves_the_rest_alone,
                a_changed_life_begins_anew,
                a_changed_subscriber_must_be_free,
                a_confirmation_is_kept_and_can_be_taken_back,
                what_is_not_in_the_queue_cannot_be_changed,
                a_deleted_subscription_is_gone,
                a_purge_removes_all_subscriptions_of_a_queue,
                subscriptions_outlive_their_queue,
                a_subscription_ends_on_the_second,
                an_expired_subscription_is_in_nobodys_way,
                gc_collects_subscriptions_that_expired_and_no_others,
                subscriptions_survive_a_restart,
                options_come_back_with_the_same_value,
            ]);
            contract!(@deliveries $fresh);
            contract!(@cases $fresh, lasting: [
                messages_and_metadata_survive_a_restart,
                metadata_can_be_changed_after_a_restart,
                claims_survive_a_restart,
                delays_and_lives_survive_a_restart,
                claim_counts_survive_a_restart,
                deletions_survive_a_restart,
                an_abandoned_call_happens_whole_or_not_at_all,
            ]);
            contract!(@cases $fresh, sealed: [
                a_sealed_body_comes_back_sealed_from_everywhere,
                a_sealed_body_survives_burial_and_a_restart,
                sealed_and_open_bodies_share_a_queue,
                a_pop_ends_at_a_sealed_body_and_leaves_it,
            ]);
            contract!(@cases $fresh, topics: [
                a_topic_has_a_record_of_its_own,
                messages_of_namesakes_stay_apart,
                what_is_purged_or_deleted_leaves_its_namesake,
                a_topic_made_anew_goes_on_counting,
                queues_and_topics_are_listed_apart,
                posts_to_namesakes_travel_side_by_side,
                subscribers_of_namesakes_are_told_of_their_own,
            ]);
            contract!(@cases $fresh, pools: [
                a_pool_comes_back_as_it_was_put,
                a_pool_is_replaced_whole,
                no_two_pools_have_one_uri,
                pools_are_listed_by_name_page_by_page,
                pools_are_found_by_flavor,
                labels_come_and_go_together,
                labelling_a_missing_pool_changes_nothing,
                a_pool_in_use_stays_where_it_is,
                pools_survive_a_restart,
            ]);
            contract!(@cases $fresh, flavors: [
                a_flavor_comes_back_as_it_was_put,
                projects_have_flavors_of_their_own,
                flavors_are_listed_by_name_page_by_page,
                a_deleted_flavor_is_gone,
            ]);
            contract!(@cases $fresh, catalogue: [
                the_first_placement_wins,
                nothing_is_placed_in_a_missing_pool,
                an_entry_changes_only_if_it_is_what_was_expected,
                an_entry_is_removed_only_if_it_is_what_was_expected,
                queues_of_like_names_stay_apart,
                a_pool_counts_its_queues,
                of_many_who_place_one_is_the_first,
                a_pool_is_not_deleted_while_queues_come_in,
            ]);
            contract!(@cases $fresh, concurrency: [
                no_message_is_claimed_twice_and_none_is_left_over,
                no_message_is_popped_twice_and_none_is_left_over,
                one_of_many_who_looked_at_a_message_pops_it,
                one_of_many_creators_made_the_queue,
                no_metadata_change_is_lost,
                concurrent_posts_keep_each_producers_order,
                one_of_many_deleters_gets_the_claimed_message,
                cycles_of_claim_and_delete_empty_the_queue_once,
            ]);
        }
    };
    (@deliveries $fresh:expr) => {
        contract!(@cases $fresh, deliveries: [
            a_queue_without_subscriptions_makes_nothing_due,
            a_message_becomes_due_as_it_was_posted,
            a_post_that_fails_makes_nothing_due,
            an_ended_subscription_makes_nothing_due,
            a_new_subscription_begins_behind_older_messages,
            due_messages_are_read_page_by_page,
            queues_with_something_due_are_listed_page_by_page,
            what_becomes_of_a_message_does_not_touch_what_is_due,
            due_messages_go_when_all_subscriptions_are_past_them,
            due_messages_go_when_they_expire,
            due_messages_go_with_the_last_subscription,
            a_change_leaves_the_progress_alone,
            what_is_due_survives_a_restart,
            what_is_due_is_announced_once_it_can_be_seen,
        ]);
        contract!(@cases $fresh, holds: [
            a_taken_subscription_is_held,
            a_note_keeps_the_progress_and_extends_the_hold,
            who_lost_the_hold_notes_nothing,
            a_release_lets_go_unless_more_came,
            a_release_keeps_the_progress,
            subscriptions_are_taken_page_by_page,
            who_is_past_everything_is_not_taken,
            an_ended_subscription_is_out_of_all_hands,
            a_bound_subscription_is_taken_by_its_worker_alone,
            a_dropped_hold_is_free_at_once,
            the_last_failure_is_kept,
            of_many_takers_each_subscription_has_one,
            no_post_slips_past_a_release,
        ]);
    };
    (@cases $fresh:expr, $group:ident: [$($case:ident,)*]) => {
        mod $group {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let store = Store::open($fresh).await;
                    crate::contract::$group::$case(store).await;
                }
            )*
        }
    };
}

/// What stores keep that queues are placed in by another one.
macro_rules! pool {
    ($driver:ident, $fresh:expr) => {
        mod $driver {
            use super::*;

            contract!(@cases $fresh, adopt: [
                an_adopted_queue_works_as_any,
                adopting_twice_changes_nothing,
                markers_begin_where_they_are_told_to,
                an_abandoned_queue_is_gone_and_tells_where_it_stood,
                only_an_empty_queue_is_abandoned_if_asked_so,
                abandoning_what_is_not_here_is_no_error,
                a_queue_adopted_again_begins_behind_its_past,
                an_adopted_queue_buries_its_dead,
                adoptions_survive_a_restart,
                no_acknowledged_post_is_thrown_away_with_an_empty_queue,
            ]);
        }
    };
}

contract!(on_the_model, Model::fresh());
pool!(in_a_pool_of_the_model, Model::fresh());
pool!(in_a_pool_of_the_embedded_store, Embedded::fresh());
pool!(in_a_pool_of_mongodb, Mongodb::on_one_member().for_a_pool());
pool!(
    in_a_pool_of_mongodb_like_plain_zaqar,
    Mongodb::on_one_member().for_a_pool().like_plain_zaqar()
);
contract!(on_the_embedded_store, Embedded::fresh());
contract!(on_mongodb, Mongodb::on_one_member());
contract!(on_mongodb_like_plain_zaqar, Mongodb::on_one_member().like_plain_zaqar());
contract!(on_three_members_of_mongodb, Mongodb::on_three_members());

/// Those that keep bodies as text keep them word for word.
macro_rules! words {
    ($driver:ident, $fresh:expr) => {
        mod $driver {
            use super::*;

            contract!(@cases $fresh, words: [bodies_are_kept_word_for_word,]);
        }
    };
}

words!(words_on_the_embedded_store, Embedded::fresh());
words!(words_on_mongodb, Mongodb::on_one_member().with_text());

/// What is due lies elsewhere than the messages, and is kept in other ways where there
/// are no transactions.
macro_rules! deliveries {
    ($driver:ident, $fresh:expr) => {
        mod $driver {
            use super::*;

            contract!(@deliveries $fresh);
        }
    };
}

deliveries!(deliveries_with_text, Mongodb::on_one_member().with_text());
deliveries!(deliveries_on_a_lone_server, Mongodb::on_a_lone_server());
deliveries!(
    deliveries_on_a_lone_server_like_plain_zaqar,
    Mongodb::on_a_lone_server().like_plain_zaqar()
);
deliveries!(deliveries_in_a_pool_of_mongodb, Mongodb::on_one_member().for_a_pool());
