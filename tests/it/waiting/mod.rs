//! Waiting for messages: who is served, when, and by which of several servers.
//!
//! The cases run over each store. Time stands still unless a case moves it, so
//! whatever a waiter is answered before that, it was told and did not look.

mod crowds;
mod endings;
mod line;
mod listings;
mod processes;
mod scene;

use crate::contract::{Embedded, Mongodb};

macro_rules! waiting {
    ($store:ident, $fresh:expr) => {
        mod $store {
            use super::*;

            waiting!(@cases $fresh, line: [
                a_post_is_handed_to_who_came_first,
                a_release_wakes_the_line,
                a_claim_that_ends_wakes_the_line,
                a_delay_that_passes_wakes_the_line,
                a_dead_letter_wakes_who_waits_for_it,
                dead_letters_do_not_hide_what_lies_behind_them,
                a_queue_made_anew_keeps_its_line,
                delays_that_are_switched_off_wake_the_line,
            ]);
            waiting!(@cases $fresh, endings: [
                a_wait_ends_with_its_time,
                who_leaves_makes_way,
                what_is_handed_to_nobody_comes_back,
                the_end_of_the_server_ends_all_waiting,
            ]);
            waiting!(@cases $fresh, crowds: [
                a_crowd_shares_nothing_and_leaves_nothing,
            ]);
            waiting!(@cases $fresh, listings: [
                all_who_read_along_hear_of_a_post,
                a_listing_waits_behind_its_marker,
                a_follower_gets_everything_once_and_in_order,
                a_follower_hears_a_heart_beat_and_an_end,
            ]);
        }
    };
    (@cases $fresh:expr, $area:ident: [$($case:ident,)*]) => {
        mod $area {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    crate::waiting::$area::$case(crate::waiting::scene::Scene::over($fresh).await)
                        .await;
                }
            )*
        }
    };
}

waiting!(embedded, Embedded::fresh());
waiting!(mongodb, Mongodb::on_one_member());
