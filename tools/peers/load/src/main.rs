//! Loads nusku and its peers with equal work: fills a queue, or measures a number of
//! clients that post, consume, or both, and prints what it saw as JSON. `tools/peers/run`
//! starts the peers and makes tables of it.

mod http;
mod measure;
mod peer;
mod peers;
mod processes;
mod tally;
mod worker;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

use measure::Plan;
use peer::{Peer, Place, Result};
use peers::beanstalkd::Beanstalkd;
use peers::nats::Nats;
use peers::postgresql::Postgresql;
use peers::rabbitmq::RabbitMq;
use peers::zaqar::Zaqar;
use processes::Processes;
use worker::Work;

#[derive(Debug, Parser)]
#[command(about = "Loads nusku and its peers with equal work.")]
struct Arguments {
    /// What the peer speaks.
    #[arg(long)]
    protocol: Protocol,
    /// Where it listens, on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// The queue to work on: letters and digits.
    #[arg(long)]
    queue: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Protocol {
    Beanstalkd,
    Nats,
    Postgresql,
    Rabbitmq,
    Zaqar,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring the queue to a number of messages.
    Fill {
        /// So many.
        count: u64,
    },
    /// Measure.
    Measure(Measurement),
    /// Delete the queue.
    Remove,
}

#[derive(Debug, Args)]
struct Measurement {
    /// What each client does, again and again.
    work: Work,
    /// Messages in a step.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Connections.
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// Seconds in which nothing is counted yet.
    #[arg(long, default_value_t = 1)]
    warmup: u64,
    /// Seconds that are counted; less if consumers find no more messages.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// A process of the server; its descendants count too. Once for each.
    #[arg(long = "process")]
    processes: Vec<u32>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("peers-load: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Some clients say what happened in the cause alone.
fn with_causes(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

fn run(arguments: &Arguments) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.protocol {
            Protocol::Beanstalkd => obey::<Beanstalkd>(arguments).await,
            Protocol::Nats => obey::<Nats>(arguments).await,
            Protocol::Postgresql => obey::<Postgresql>(arguments).await,
            Protocol::Rabbitmq => obey::<RabbitMq>(arguments).await,
            Protocol::Zaqar => obey::<Zaqar>(arguments).await,
        }
    })
}

async fn obey<P: Peer>(arguments: &Arguments) -> Result<Value> {
    let place = Place { port: arguments.port, queue: arguments.queue.clone() };
    match &arguments.command {
        Command::Fill { count } => {
            Ok(json!({ "before": measure::fill::<P>(&place, *count).await? }))
        }
        Command::Measure(measurement) => {
            let plan = Plan {
                place,
                work: measurement.work,
                batch: measurement.batch,
                clients: measurement.clients,
                warmup: Duration::from_secs(measurement.warmup),
                duration: Duration::from_secs(measurement.seconds),
                server: Processes(measurement.processes.clone()),
            };
            measure::measure::<P>(plan).await
        }
        Command::Remove => {
            P::connect(&place).await?.remove().await?;
            Ok(json!({}))
        }
    }
}
