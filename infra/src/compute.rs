//! Threads for CPU-bound work, at a lower priority than those that serve requests.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use kymograph_app::kernel::work::{Job, Threads};
use rustix::process::{Pid, setpriority_process};
use tokio::time::sleep;

/// The niceness: threads at 0 get nearly ten times as much of a core as those at 10, and preempt them.
const NICENESS: i32 = 10;

/// Attempts to change a scheduling group: Linux allows an unprivileged process one change in a tenth of a second.
const GROUP_ATTEMPTS: u32 = 20;
const GROUP_PAUSE: Duration = Duration::from_millis(150);

/// A fixed number of such threads, which end when this and all its clones are dropped.
#[derive(Clone)]
pub struct ComputeThreads(Sender<Job>);

impl ComputeThreads {
    /// Starts this many threads.
    pub fn start(name: &str, count: usize) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..count {
            let receiver = receiver.clone();
            thread::Builder::new().name(name.to_owned()).spawn(move || work(&receiver))?;
        }
        Ok(Self(sender))
    }
}

impl Threads for ComputeThreads {
    fn run(&self, job: Job) {
        // The threads end only after all senders.
        let _ = self.0.send(job);
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    if let Err(error) = setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "could not lower the priority of a thread");
    }
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // The panic hook has logged it, and the waiting task sees that there is no result.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// Lowers the priority of a process of this machine in the same way.
pub(crate) fn lower_priority(pid: i32) -> io::Result<()> {
    let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(setpriority_process(Some(pid), NICENESS)?)
}

/// Lowers the priority of a process's scheduling group as well. Linux gives each session a group of its own (sched(7),
/// autogroup) unless a service manager has made others, and each process of PostgreSQL is a session: niceness, which counts
/// within a group, would do nothing for it.
pub(crate) async fn lower_group_priority(pid: i32) {
    for _ in 0..GROUP_ATTEMPTS {
        match std::fs::write(format!("/proc/{pid}/autogroup"), NICENESS.to_string()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(GROUP_PAUSE).await,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::debug!(%error, pid, "could not lower the priority of a database process's group");
                return;
            }
            Ok(()) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn a_job_runs_at_a_lower_priority_and_one_that_panics_takes_no_thread_along() {
        let threads = ComputeThreads::start("compute", 1).unwrap();
        threads.run(Box::new(|| panic!("a job that fails")));
        let (sender, receiver) = channel();
        threads.run(Box::new(move || sender.send(getpriority_process(None).unwrap()).unwrap()));
        assert_eq!(receiver.recv().unwrap(), NICENESS);
        assert_ne!(getpriority_process(None).unwrap(), NICENESS);
    }
}
