//! When a worker's next turn is due, and which queue it goes to.

use std::time::{Duration, Instant};

use super::args::{Plan, Role, Spread};

/// The rhythm of one worker.
///
/// Without `--rate` a turn is due when the one before is over. With it, turns
/// are due at fixed times, and a server that stalls is charged for all the
/// requests that should have been sent meanwhile.
#[derive(Debug)]
pub struct Pace {
    next: Option<(Instant, Duration)>,
}

impl Pace {
    /// The rhythm of worker `index` of `role`, which starts at `start`.
    #[must_use]
    pub fn new(plan: &Plan, role: Role, index: usize, start: Instant) -> Self {
        Self { next: plan.args.rate.map(|rate| beat(rate, plan.workers(role), index, start)) }
    }

    /// When the next turn is due, `None` if that is at once. Each call moves
    /// on to the turn after.
    pub fn advance(&mut self) -> Option<Instant> {
        let (due, interval) = self.next.as_mut()?;
        let now = *due;
        *due += *interval;
        Some(now)
    }
}

/// The first turn of worker `index` of `workers` and the time between two of
/// its turns, if all together have `rate` turns a second.
fn beat(rate: f64, workers: usize, index: usize, start: Instant) -> (Instant, Duration) {
    // No panic: the flag's limits keep this between a microsecond and an hour.
    let between = Duration::from_secs_f64(1.0 / rate);
    let times = |count: usize| between.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
    (start + times(index), times(workers))
}

/// A walk over the queues.
#[derive(Debug)]
pub struct Walk {
    queues: u32,
    spread: Spread,
    state: u64,
}

impl Walk {
    /// The walk of worker `index`.
    #[must_use]
    pub fn new(plan: &Plan, index: usize) -> Self {
        let (queues, spread) = (plan.args.queues, plan.args.spread);
        let state = match spread {
            Spread::RoundRobin => index as u64,
            // Far apart and never 0, at which the generator would stay.
            Spread::Random => (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        };
        Self { queues, spread, state }
    }

    /// The next queue.
    pub fn step(&mut self) -> u32 {
        let drawn = match self.spread {
            Spread::RoundRobin => {
                self.state += 1;
                self.state - 1
            }
            Spread::Random => {
                // Marsaglia's xorshift: plenty for picking queues.
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                self.state
            }
        };
        u32::try_from(drawn % u64::from(self.queues)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, Spread, Walk, beat};

    fn visits(spread: Spread, queues: u32, state: u64, steps: u32) -> Vec<u32> {
        let mut walk = Walk { queues, spread, state };
        let mut visits = vec![0; queues as usize];
        for _ in 0..steps {
            visits[walk.step() as usize] += 1;
        }
        visits
    }

    #[test]
    fn round_robin_visits_all_queues_alike() {
        assert_eq!(visits(Spread::RoundRobin, 7, 3, 70), vec![10; 7]);
        let mut walk = Walk { queues: 3, spread: Spread::RoundRobin, state: 2 };
        assert_eq!([walk.step(), walk.step(), walk.step()], [2, 0, 1]);
    }

    #[test]
    fn random_visits_all_queues_about_alike() {
        for count in visits(Spread::Random, 10, 0x9E37_79B9_7F4A_7C15, 10_000) {
            assert!((800..1200).contains(&count), "{count}");
        }
    }

    #[test]
    fn workers_share_a_rate_and_take_turns() {
        let start = Instant::now();
        let millis = |count| Duration::from_millis(count);
        for index in 0..4 {
            let (first, interval) = beat(100.0, 4, index, start);
            assert_eq!(first - start, millis(10 * index as u64));
            assert_eq!(interval, millis(40));
        }
    }
}
