//! What a run is asked to do: the flags, and the plan made of them.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::target::Target;

/// What `--rate` may be: from a turn in a quarter of an hour to one a microsecond.
const RATES: RangeInclusive<f64> = 0.001..=1_000_000.0;

/// Most bytes of message bodies in a post, far more than any server takes.
const POST_BYTES_MAX: u64 = 64 << 20;

/// Most bytes of a name: the prefix and the number must fit in it together.
const QUEUE_NAME_LENGTH_MAX: usize = 64;

/// What every run should be told before its flags.
const ROLES_EXPLAINED: &str = "\
At least one of --producers, --consumers, --observers, --cyclers and --prefill is needed. Every \
worker has one connection and sends its next request when the last one is answered. The turn of a \
producer is one post, of an observer one page, of a consumer one claim and the deletion of what \
it claimed, of a cycler one post and a consumer's turn.

Exit code: 0 if all went well, 1 if a request failed or the server is not there, 2 for flags that \
make no sense.";

/// Flags of `nusku bench`: put load on a server and measure how it copes.
#[derive(Args, Clone, Debug)]
#[command(after_help = ROLES_EXPLAINED)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct BenchArgs {
    /// Server to load, `http://HOST[:PORT][/PREFIX]`; any v2 server will do.
    #[arg(long, default_value = "http://127.0.0.1:8888")]
    pub url: String,
    /// Project (`X-Project-ID`) that owns the queues.
    #[arg(long, default_value = "nusku-bench")]
    pub project: String,
    /// Token to send as `X-Auth-Token`.
    #[arg(long)]
    pub token: Option<String>,

    /// Connections that post.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub producers: usize,
    /// Connections that claim and then delete what they claimed.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub consumers: usize,
    /// Connections that read every message, in order, by following markers.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub observers: usize,
    /// Connections that post, claim and delete in turn.
    #[arg(long = "cyclers", visible_alias = "cycle", value_name = "N", default_value_t = 0)]
    pub cyclers: usize,

    /// Bytes of a message's body, as JSON text.
    #[arg(long, value_name = "BYTES", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(2..))]
    pub message_size: u32,
    /// Messages in a post.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,
    /// Seconds a message lives.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub ttl: u32,
    /// Most messages of a claim.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub claim_limit: u32,
    /// Seconds a claim lives.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub claim_ttl: u32,
    /// Most messages of an observer's page.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub page_limit: u32,
    /// Delete one message a request, with the id of the claim, instead of all
    /// of a claim in one request by their ids.
    #[arg(long)]
    pub delete_each: bool,

    /// Queues to spread the load over.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub queues: u32,
    /// Names of the queues, before a hyphen and a number.
    #[arg(long, value_name = "TEXT", default_value = "nusku-bench")]
    pub queue_prefix: String,
    /// How a worker picks the queue of its next turn.
    #[arg(long, value_enum, default_value_t = Spread::RoundRobin)]
    pub spread: Spread,

    /// Seconds to measure.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds,
          conflicts_with_all = ["requests", "drain"])]
    pub duration: Duration,
    /// Seconds of load before the measurement.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    pub warmup: Duration,
    /// Measure this many turns of each role instead of a time.
    #[arg(long, value_name = "N", conflicts_with = "drain",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,
    /// Measure until the consumers find every queue empty instead of a time.
    #[arg(long)]
    pub drain: bool,
    /// Turns a second of all workers of a role together, at even distances;
    /// the latency of a request counts from the moment its turn was due.
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: Option<f64>,
    /// Milliseconds a worker rests when it found nothing to claim or to read.
    #[arg(long, value_name = "MS", default_value_t = 10)]
    pub rest: u32,
    /// Seconds to wait for an answer.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub timeout: Duration,
    /// Messages to put into the queues, evenly, before anything else.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub prefill: u64,
    /// Leave the queues as they are in the end instead of deleting them.
    #[arg(long)]
    pub no_clean: bool,

    /// Threads of the load generator.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// Print the figures as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Report progress every second, even when stderr is no terminal.
    #[arg(long)]
    pub progress: bool,
    /// Exit with 0 even if requests failed.
    #[arg(long)]
    pub allow_errors: bool,

    /// Measure the disk under DIR instead of a server: append 1 KiB to a file
    /// and flush it (fdatasync), again and again for `--duration`.
    #[arg(long, value_name = "DIR", hide = true)]
    pub disk: Option<PathBuf>,
}

/// How a worker picks the queue of its next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Spread {
    /// One after the other; each worker starts at another queue.
    RoundRobin,
    /// Any, with equal chance; the same choices in every run.
    Random,
}

/// When the measurement ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// After this time.
    After(Duration),
    /// When every role has had this many turns.
    Turns(u64),
    /// When the consumers find every queue empty.
    Drained,
}

/// What a worker does; see [`BenchArgs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Posts.
    Producer,
    /// Claims and deletes.
    Consumer,
    /// Reads by markers.
    Observer,
    /// Posts, claims and deletes.
    Cycler,
}

impl Role {
    /// All roles, in the order they are reported.
    pub const ALL: [Self; 4] = [Self::Producer, Self::Consumer, Self::Observer, Self::Cycler];

    /// The role's name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
            Self::Observer => "observer",
            Self::Cycler => "cycler",
        }
    }
}

/// A run that makes sense: flags checked against each other.
#[derive(Debug)]
pub struct Plan {
    /// The flags.
    pub args: BenchArgs,
    /// The server.
    pub target: Arc<Target>,
    /// When the measurement ends.
    pub stop: Stop,
}

impl Plan {
    /// Checks `args` against each other.
    ///
    /// # Errors
    ///
    /// A sentence that names the flag at fault.
    pub fn new(args: BenchArgs) -> Result<Self, String> {
        let target = Target::parse(&args.url, &args.project, args.token.as_deref())?;
        let stop = match args.requests {
            Some(turns) => Stop::Turns(turns),
            None if args.drain => Stop::Drained,
            None => Stop::After(args.duration),
        };
        let plan = Self { args, target: Arc::new(target), stop };
        plan.check_roles()?;
        plan.check_queue_names()?;
        if plan.args.timeout.is_zero() {
            return Err("--timeout must be more than 0".into());
        }
        if u64::from(plan.args.batch) * u64::from(plan.args.message_size) > POST_BYTES_MAX {
            return Err(format!(
                "--batch times --message-size must be {POST_BYTES_MAX} bytes at most"
            ));
        }
        Ok(plan)
    }

    /// How many workers of `role` there are.
    #[must_use]
    pub fn workers(&self, role: Role) -> usize {
        match role {
            Role::Producer => self.args.producers,
            Role::Consumer => self.args.consumers,
            Role::Observer => self.args.observers,
            Role::Cycler => self.args.cyclers,
        }
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers_total(&self) -> usize {
        Role::ALL.into_iter().map(|role| self.workers(role)).sum()
    }

    /// The name of queue `number`, which is below `--queues`.
    #[must_use]
    pub fn queue_name(&self, number: u32) -> String {
        format!("{}-{number}", self.args.queue_prefix)
    }

    fn check_roles(&self) -> Result<(), String> {
        let total = self.workers_total();
        if total == 0 && self.args.prefill == 0 {
            return Err("nothing to do: give --producers, --consumers, --observers, \
                        --cyclers or --prefill"
                .into());
        }
        if total == 0 && !self.args.no_clean {
            return Err("--prefill alone needs --no-clean: the queues would be deleted again, \
                        untouched"
                .into());
        }
        if self.args.drain && (total != self.args.consumers || total == 0) {
            return Err("--drain is for consumers alone".into());
        }
        if self.args.drain && self.args.spread == Spread::Random {
            return Err("--drain visits queue after queue: it needs --spread round-robin".into());
        }
        Ok(())
    }

    fn check_queue_names(&self) -> Result<(), String> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let longest = self.queue_name(self.args.queues - 1);
        if !longest.bytes().all(legal) || longest.len() > QUEUE_NAME_LENGTH_MAX {
            return Err(format!(
                "--queue-prefix makes queue names such as {longest:?}; a name has at most \
                 {QUEUE_NAME_LENGTH_MAX} letters, digits, '_', '-' and '.'"
            ));
        }
        Ok(())
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a number of seconds is expected, such as 10 or 0.5".into())
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if RATES.contains(&rate) => Ok(rate),
        _ => Err(format!("a number from {} to {} is expected", RATES.start(), RATES.end())),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{BenchArgs, Duration, Plan, Role, Stop};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn plan(flags: &str) -> Result<Plan, String> {
        let flags = std::iter::once("bench").chain(flags.split_whitespace());
        let cli = Cli::try_parse_from(flags).map_err(|error| error.to_string())?;
        Plan::new(cli.bench)
    }

    #[test]
    fn defaults_make_a_plan_with_any_one_role() {
        for role in Role::ALL {
            let plan = plan(&format!("--{}s 3", role.name())).unwrap();
            assert_eq!(plan.workers(role), 3);
            assert_eq!(plan.workers_total(), 3);
            assert_eq!(plan.stop, Stop::After(Duration::from_secs(10)));
        }
    }

    #[test]
    fn the_end_is_a_time_or_a_number_of_turns_or_an_empty_queue() {
        let stop = |flags: &str| plan(flags).map(|plan| plan.stop);
        assert_eq!(
            stop("--producers 1 --duration 0.5"),
            Ok(Stop::After(Duration::from_millis(500)))
        );
        assert_eq!(stop("--producers 1 --requests 7"), Ok(Stop::Turns(7)));
        assert_eq!(stop("--consumers 1 --drain"), Ok(Stop::Drained));
        for both in ["--requests 7 --duration 1", "--requests 7 --drain", "--drain --duration 1"] {
            stop(&format!("--consumers 1 {both}")).unwrap_err();
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_reason() {
        for (flags, reason) in [
            ("", "nothing to do"),
            ("--prefill 10", "--no-clean"),
            ("--producers 1 --consumers 1 --drain", "--drain"),
            ("--prefill 1 --no-clean --drain", "--drain"),
            ("--consumers 1 --drain --spread random", "--spread"),
            ("--producers 1 --queue-prefix a/b", "--queue-prefix"),
            ("--producers 1 --timeout 0", "--timeout"),
            ("--producers 1 --batch 0", "--batch"),
            ("--producers 1 --message-size 1", "--message-size"),
            ("--producers 1 --rate 0", "--rate"),
            ("--producers 1 --rate 1e-9", "--rate"),
            ("--producers 1 --rate inf", "--rate"),
            ("--producers 1 --batch 100000", "--batch"),
            ("--producers 1 --duration=-1", "--duration"),
            ("--producers 1 --url https://127.0.0.1", "http://"),
        ] {
            let said = plan(flags).unwrap_err();
            assert!(said.contains(reason), "{flags}: {said}");
        }
    }

    #[test]
    fn a_queue_name_may_be_as_long_as_the_server_takes() {
        let longest = "p".repeat(62);
        assert!(plan(&format!("--producers 1 --queue-prefix {longest}")).is_ok());
        assert!(plan(&format!("--producers 1 --queues 11 --queue-prefix {longest}")).is_err());
    }
}
