//! The workers of a run: started on their threads, told when to begin to count
//! and when to stop, and asked for their figures.

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;

use super::args::{Plan, Role, Stop};
use super::progress::Progress;
use super::report::Report;
use super::tally::Tally;
use super::wire::Requests;
use super::worker::{Phase, Shared, Worker};

/// What a thread tells its leader.
enum News {
    /// All its workers have tried to connect.
    Connected,
    /// All its workers are done.
    Done(io::Result<Tally>),
}

/// Runs the workers of `plan` until the plan says stop, or `interrupted` does.
/// Requests under way at the stop are waited for, and both they and the wait
/// count. With `progress`, reports every second on stderr.
///
/// # Errors
///
/// The system's reason if a thread cannot be started or breaks down.
pub async fn run(
    plan: &Arc<Plan>,
    requests: &Requests,
    interrupted: impl Future<Output = ()>,
    progress: bool,
) -> io::Result<Report> {
    let shared = Arc::new(Shared::new(Arc::clone(plan)));
    let (phase, phases) = watch::channel(Phase::Connecting);
    let mut inbox = start(&shared, &phases, requests)?;
    let mut conductor = Conductor::new(phase, Arc::clone(plan));
    let mut report = Report::new(plan)?;
    let mut progress = progress.then(|| Progress::new(Instant::now()));
    let second = Duration::from_secs(1);
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + second, second);
    let mut interrupted = pin!(interrupted);
    let (mut connecting, mut running) = (plan.args.threads, plan.args.threads);
    while running > 0 {
        tokio::select! {
            news = inbox.recv() => match news {
                Some(News::Connected) => {
                    connecting -= 1;
                    if connecting == 0 {
                        conductor.advance();
                    }
                }
                Some(News::Done(tally)) => {
                    report.tally.merge(&tally?);
                    running -= 1;
                }
                None => return Err(io::Error::other("a thread of the load generator broke down")),
            },
            () = wait_until(conductor.deadline) => conductor.advance(),
            () = &mut interrupted, if !report.interrupted => {
                report.interrupted = true;
                conductor.stop();
            }
            _ = tick.tick(), if progress.is_some() => {
                if let Some(progress) = &mut progress {
                    progress.print(Instant::now(), &shared.live);
                }
            }
        }
    }
    report.elapsed = conductor.started.map_or(Duration::ZERO, |started| started.elapsed());
    Ok(report)
}

/// Takes a run from phase to phase.
struct Conductor {
    phase: watch::Sender<Phase>,
    plan: Arc<Plan>,
    /// When the phase ends, if a clock ends it.
    deadline: Option<Instant>,
    /// When the measurement began.
    started: Option<Instant>,
}

impl Conductor {
    fn new(phase: watch::Sender<Phase>, plan: Arc<Plan>) -> Self {
        Self { phase, plan, deadline: None, started: None }
    }

    /// Begins the next phase.
    fn advance(&mut self) {
        let now = Instant::now();
        let phase = *self.phase.borrow();
        match phase {
            Phase::Connecting if !self.plan.args.warmup.is_zero() => {
                self.deadline = now.checked_add(self.plan.args.warmup);
                self.phase.send_replace(Phase::WarmUp);
            }
            Phase::Connecting | Phase::WarmUp => {
                self.started = Some(now);
                self.deadline = match self.plan.stop {
                    Stop::After(duration) => now.checked_add(duration),
                    Stop::Turns(_) | Stop::Drained => None,
                };
                self.phase.send_replace(Phase::Measuring);
            }
            Phase::Measuring | Phase::Stopping => self.stop(),
        }
    }

    fn stop(&mut self) {
        self.deadline = None;
        self.phase.send_replace(Phase::Stopping);
    }
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Starts the threads. Each has a runtime of its own, so that an answer is
/// read where its request was sent, without a hand-over.
fn start(
    shared: &Arc<Shared>,
    phases: &watch::Receiver<Phase>,
    requests: &Requests,
) -> io::Result<mpsc::UnboundedReceiver<News>> {
    let (news, inbox) = mpsc::unbounded_channel();
    for number in 0..shared.plan.args.threads {
        let (shared, phases) = (Arc::clone(shared), phases.clone());
        let (requests, news) = (requests.clone(), news.clone());
        thread::Builder::new().name(format!("bench-{number}")).spawn(move || {
            let done = work(number.into(), &shared, &phases, &requests, &news);
            news.send(News::Done(done)).ok();
        })?;
    }
    Ok(inbox)
}

/// One thread's work: its share of the workers, from connecting to the end.
fn work(
    number: usize,
    shared: &Arc<Shared>,
    phases: &watch::Receiver<Phase>,
    requests: &Requests,
    news: &mpsc::UnboundedSender<News>,
) -> io::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tally = Rc::new(RefCell::new(Tally::new().map_err(io::Error::other)?));
    LocalSet::new().block_on(&runtime, async {
        let mut workers: Vec<_> = share(&shared.plan, number)
            .map(|(role, index)| {
                let (shared, tally) = (Arc::clone(shared), Rc::clone(&tally));
                Worker::new(role, index, shared, tally, phases.clone(), requests.another())
            })
            .collect();
        join_all(workers.iter_mut().map(Worker::connect)).await;
        news.send(News::Connected).ok();
        let working: Vec<_> =
            workers.into_iter().map(|worker| tokio::task::spawn_local(worker.run())).collect();
        for worker in working {
            worker.await.map_err(io::Error::other)?;
        }
        io::Result::Ok(())
    })?;
    Ok(Rc::unwrap_or_clone(tally).into_inner())
}

/// The workers of thread `number`: a role, and a number within the role.
fn share(plan: &Plan, number: usize) -> impl Iterator<Item = (Role, usize)> {
    Role::ALL
        .into_iter()
        .flat_map(|role| (0..plan.workers(role)).map(move |index| (role, index)))
        .skip(number)
        .step_by(usize::from(plan.args.threads))
}
