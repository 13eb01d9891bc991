//! The line before one queue: whose turn it is. Knows nothing of tasks or time.
//!
//! Whoever wants messages waits in the line until it gets a *turn*, which is
//! the right to try a claim. Turns are given out in the order of arrival, and
//! only so many as there are messages known to have come: each turn gets a
//! share of what the line is *owed*. If it is only known that something came,
//! the first in the line probes, and hands on when there was plenty.
//!
//! The rule that keeps this honest: an attempt that found nothing has seen the
//! queue empty, so all that came before it is spent, and only what came since is
//! still owed.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::storage::Arrival;

/// A place in the line; a smaller one came first.
pub type Ticket = u64;

/// Listeners that are woken when it is not known whether anything came. More
/// have to wait for the next time.
const LISTENERS_AT_ONCE: usize = 16;

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It got something and leaves. There may be more.
    Served,
    /// It got nothing, for there was nothing. It keeps its place.
    Drained,
    /// It failed and leaves; nothing is known.
    Failed,
}

/// Those who wait for one queue.
#[derive(Debug, Default)]
pub struct Line {
    next: Ticket,
    /// Who wants messages handed out.
    workers: BTreeMap<Ticket, Worker>,
    /// Who reads along, and takes nothing away.
    listeners: BTreeMap<Ticket, Arc<Notify>>,
    /// The listener that was woken last when only a few were.
    listener_woken: Ticket,
    /// Messages that came and that no turn was given for.
    owed: u64,
    /// Whether something came, nobody knows how much.
    unsure: bool,
    /// Messages that ever came, to tell which came during an attempt.
    came: u64,
    /// How often it was unsure what came, for the same reason.
    rumours: u64,
}

#[derive(Debug)]
struct Worker {
    wants: u64,
    turn: Option<Turn>,
    called: Arc<Notify>,
}

/// An attempt that somebody may make, or is making.
#[derive(Clone, Copy, Debug)]
struct Turn {
    /// What it was given of what the line is owed.
    share: u64,
    /// What came for it since it began: it may be too late to find it.
    late: u64,
    /// Whether it is to find out if there is anything.
    probes: bool,
    /// `came` and `rumours` when it began.
    began: (u64, u64),
}

impl Line {
    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty() && self.listeners.is_empty()
    }

    /// How many of them have nothing to do but to wait.
    pub fn resting(&self) -> usize {
        let workers = self.workers.values().filter(|worker| worker.turn.is_none());
        workers.count() + self.listeners.len()
    }

    /// Lines up somebody who wants that many messages. It has a turn at once
    /// unless somebody waits already, which means that there is nothing.
    pub fn join(&mut self, wants: u32) -> (Ticket, Arc<Notify>) {
        let is_first = self.workers.values().all(|worker| worker.turn.is_some());
        let turn = is_first.then(|| self.turn(0, false));
        let called = Arc::new(Notify::new());
        let ticket = self.ticket();
        let worker = Worker { wants: wants.into(), turn, called: Arc::clone(&called) };
        self.workers.insert(ticket, worker);
        self.call();
        (ticket, called)
    }

    /// Adds somebody who wants to know whenever something comes.
    pub fn listen(&mut self) -> (Ticket, Arc<Notify>) {
        let (ticket, heard) = (self.ticket(), Arc::new(Notify::new()));
        self.listeners.insert(ticket, Arc::clone(&heard));
        (ticket, heard)
    }

    /// Whether it is that worker's turn.
    pub fn has_turn(&self, ticket: Ticket) -> bool {
        self.workers.get(&ticket).is_some_and(|worker| worker.turn.is_some())
    }

    /// Ends a turn.
    pub fn end_turn(&mut self, ticket: Ticket, outcome: Outcome) {
        let turn = self.workers.get_mut(&ticket).and_then(|worker| worker.turn.take());
        let Some(turn) = turn else { return };
        if outcome != Outcome::Drained {
            self.workers.remove(&ticket);
        }
        match outcome {
            Outcome::Served => {
                self.owed = self.owed.saturating_add(turn.late);
                self.unsure |= turn.probes;
            }
            Outcome::Drained => {
                let (came, rumours) = turn.began;
                let owed = self.owed.saturating_add(turn.late);
                self.owed = owed.min(self.came.wrapping_sub(came));
                self.unsure &= self.rumours != rumours;
            }
            Outcome::Failed => self.take_back(turn),
        }
        self.call();
    }

    /// Lets somebody go. A turn it had goes to the next.
    pub fn leave(&mut self, ticket: Ticket) {
        self.listeners.remove(&ticket);
        if let Some(turn) = self.workers.remove(&ticket).and_then(|worker| worker.turn) {
            self.take_back(turn);
        }
        self.call();
    }

    /// Something came to the queue.
    pub fn arrived(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Messages(count) => {
                self.owed = self.owed.saturating_add(count);
                self.came = self.came.wrapping_add(count);
            }
            Arrival::Something | Arrival::Perhaps => {
                self.unsure = true;
                self.rumours = self.rumours.wrapping_add(1);
            }
        }
        self.call();
        self.wake_listeners(if arrival == Arrival::Perhaps {
            LISTENERS_AT_ONCE
        } else {
            usize::MAX
        });
    }

    fn ticket(&mut self) -> Ticket {
        self.next += 1;
        self.next
    }

    fn turn(&self, share: u64, probes: bool) -> Turn {
        Turn { share, late: 0, probes, began: (self.came, self.rumours) }
    }

    fn take_back(&mut self, turn: Turn) {
        self.owed = self.owed.saturating_add(turn.share).saturating_add(turn.late);
        self.unsure |= turn.probes;
    }

    /// Gives out the turns there are, in order.
    fn call(&mut self) {
        if self.owed == 0 && !self.unsure {
            return;
        }
        let (began, mut owed, mut unsure) = ((self.came, self.rumours), self.owed, self.unsure);
        let probing = self.workers.values().any(|it| it.turn.is_some_and(|turn| turn.probes));
        for worker in self.workers.values_mut() {
            // Whoever tries already comes before those behind it.
            if let Some(turn) = &mut worker.turn {
                let more = owed.min(worker.wants.saturating_sub(turn.share + turn.late));
                turn.late += more;
                owed -= more;
                continue;
            }
            let turn = if owed > 0 {
                Turn { share: owed.min(worker.wants), late: 0, probes: false, began }
            } else if unsure && !probing {
                unsure = false;
                Turn { share: 0, late: 0, probes: true, began }
            } else {
                break;
            };
            owed -= turn.share;
            let probes = turn.probes;
            worker.turn = Some(turn);
            worker.called.notify_one();
            if probes {
                break;
            }
        }
        (self.owed, self.unsure) = (owed, unsure);
    }

    /// Wakes up to `most` listeners, those first that waited longest for it.
    fn wake_listeners(&mut self, most: usize) {
        let behind = self.listeners.range(self.listener_woken + 1..);
        let before = self.listeners.range(..=self.listener_woken);
        let mut last = None;
        for (ticket, heard) in behind.chain(before).take(most) {
            heard.notify_one();
            last = Some(*ticket);
        }
        self.listener_woken = last.unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines up workers that tried and found nothing.
    fn idle(line: &mut Line, wants: &[u32]) -> Vec<Ticket> {
        let join = |&wants| {
            let (ticket, _) = line.join(wants);
            line.end_turn(ticket, Outcome::Drained);
            ticket
        };
        wants.iter().map(join).collect()
    }

    fn turns(line: &Line, tickets: &[Ticket]) -> Vec<bool> {
        tickets.iter().map(|&ticket| line.has_turn(ticket)).collect()
    }

    #[test]
    fn as_many_are_called_as_there_are_messages_for() {
        let mut line = Line::default();
        let tickets = idle(&mut line, &[1, 10, 1, 1]);
        line.arrived(Arrival::Messages(11));
        assert_eq!(turns(&line, &tickets), [true, true, false, false]);
        line.arrived(Arrival::Messages(1));
        assert_eq!(turns(&line, &tickets), [true, true, true, false]);
    }

    #[test]
    fn the_second_in_a_line_does_not_try_what_the_first_found_empty() {
        let mut line = Line::default();
        let (first, _) = line.join(1);
        let (second, _) = line.join(1);
        assert_eq!(turns(&line, &[first, second]), [true, true], "nothing is known yet");
        line.end_turn(first, Outcome::Drained);
        let (third, _) = line.join(1);
        assert!(!line.has_turn(third));
    }

    #[test]
    fn a_turn_that_is_not_used_goes_to_the_next() {
        for outcome in [None, Some(Outcome::Failed)] {
            let mut line = Line::default();
            let tickets = idle(&mut line, &[1, 1]);
            line.arrived(Arrival::Messages(1));
            match outcome {
                Some(outcome) => line.end_turn(tickets[0], outcome),
                None => line.leave(tickets[0]),
            }
            assert!(line.has_turn(tickets[1]), "{outcome:?}");
        }
    }

    #[test]
    fn what_came_during_an_attempt_is_still_owed() {
        let mut line = Line::default();
        let tickets = idle(&mut line, &[1]);
        line.arrived(Arrival::Messages(1));
        line.arrived(Arrival::Messages(1));
        line.end_turn(tickets[0], Outcome::Drained);
        assert!(line.has_turn(tickets[0]), "the second message came since");
        line.end_turn(tickets[0], Outcome::Drained);
        assert!(!line.has_turn(tickets[0]), "and now nothing is left");
    }

    #[test]
    fn who_is_trying_comes_before_those_behind_it() {
        for outcome in [Outcome::Served, Outcome::Drained] {
            let mut line = Line::default();
            let tickets = idle(&mut line, &[2, 1]);
            line.arrived(Arrival::Something);
            line.arrived(Arrival::Messages(2));
            assert_eq!(turns(&line, &tickets), [true, false]);
            line.end_turn(tickets[0], outcome);
            let expected = if outcome == Outcome::Served { [false, true] } else { [true, false] };
            assert_eq!(turns(&line, &tickets), expected, "what it may have missed is not lost");
        }
    }

    #[test]
    fn old_debts_do_not_outlive_an_empty_queue() {
        let mut line = Line::default();
        let (only, _) = line.join(1);
        line.arrived(Arrival::Messages(1000));
        line.end_turn(only, Outcome::Drained);
        line.end_turn(only, Outcome::Drained);
        assert!(!line.has_turn(only));
    }

    #[test]
    fn one_at_a_time_finds_out_how_much_there_is() {
        let mut line = Line::default();
        let tickets = idle(&mut line, &[1, 1, 1]);
        line.arrived(Arrival::Something);
        line.arrived(Arrival::Perhaps);
        assert_eq!(turns(&line, &tickets), [true, false, false]);
        line.end_turn(tickets[0], Outcome::Served);
        assert!(line.has_turn(tickets[1]), "there may be more");
        line.end_turn(tickets[1], Outcome::Drained);
        assert_eq!(turns(&line, &tickets), [false; 3], "there is not");
    }

    #[tokio::test]
    async fn listeners_all_hear_what_came_and_a_few_what_may_have_come() {
        let mut line = Line::default();
        let heard: Vec<_> = (0..40).map(|_| line.listen().1).collect();
        let count = async || {
            let mut count = 0;
            for heard in &heard {
                tokio::select! {
                    biased;
                    () = heard.notified() => count += 1,
                    () = std::future::ready(()) => {}
                }
            }
            count
        };
        line.arrived(Arrival::Something);
        assert_eq!(count().await, 40);
        line.arrived(Arrival::Perhaps);
        assert_eq!(count().await, LISTENERS_AT_ONCE);
        for _ in 0..3 {
            line.arrived(Arrival::Perhaps);
        }
        assert_eq!(count().await, 40, "each in its turn");
    }
}
