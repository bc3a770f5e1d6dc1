//! Measurements of processes and of the machine, as reported by the kernel.

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::error::Result;

/// The variation of a fixed piece of work, or the share of stolen time, above which numbers are unreliable.
const TOLERABLE: f64 = 0.10;

/// Processor time of a process: its own, and that of its ended children.
struct Times {
    parent: u32,
    own: u64,
    ended_children: u64,
}

fn times(pid: u32) -> Result<Times> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may contain anything. After it come: state, parent, … from the third field on.
    let (_, fields) = stat.rsplit_once(')').ok_or("a process without a name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied().ok_or("a process with few fields");
    let ticks = |number: usize| -> Result<u64> { Ok(field(number)?.parse()?) };
    Ok(Times {
        parent: field(4)?.parse()?,
        own: ticks(14)? + ticks(15)?,
        ended_children: ticks(16)? + ticks(17)?,
    })
}

fn duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second().max(1))
}

/// The processor time of a process so far.
pub(crate) fn cpu_of_process(pid: u32) -> Result<Duration> {
    Ok(duration(times(pid)?.own))
}

/// The processor time of a Postgres so far, with all its processes, including ended ones.
pub(crate) fn cpu_of_postgres(postmaster: u32) -> Result<Duration> {
    let root = times(postmaster)?;
    let mut ticks = root.own + root.ended_children;
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        // A process can end in between; its time is then included in that of the postmaster.
        if let Some(child) = pid.and_then(|pid| times(pid).ok()).filter(|child| child.parent == postmaster) {
            ticks += child.own;
        }
    }
    Ok(duration(ticks))
}

/// The resident memory of a process, in megabytes.
pub(crate) fn resident_megabytes(pid: u32) -> Result<f64> {
    megabytes(pid, "VmRSS:")
}

/// The peak resident memory of a process, in megabytes.
pub(crate) fn peak_megabytes(pid: u32) -> Result<f64> {
    megabytes(pid, "VmHWM:")
}

fn megabytes(pid: u32, field: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("a process without memory")?;
    let kilobytes: u32 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(f64::from(kilobytes) / 1024.0)
}

/// Detects whether other work on the machine disturbs a run.
pub(crate) struct Noise {
    spins: Vec<Duration>,
    before: [u64; 2],
}

impl Noise {
    /// Starts to observe.
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self { spins: Vec::new(), before: stolen_and_all()? })
    }

    /// Performs a fixed piece of work several times, between measurements, while nothing else of the benchmark runs.
    pub(crate) fn calibrate(&mut self) {
        self.spins.extend((0..5).map(|_| spin()));
    }

    /// The warnings about the run.
    pub(crate) fn warnings(&self) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        if let (Some(least), Some(most)) = (self.spins.iter().min(), self.spins.iter().max()) {
            let variation = most.as_secs_f64() / least.as_secs_f64() - 1.0;
            if variation > TOLERABLE {
                let percent = variation * 100.0;
                warnings
                    .push(format!("noisy machine: the same work took up to {percent:.0} % longer at times"));
            }
        }
        let after = stolen_and_all()?;
        let [stolen, all] = [0, 1].map(|index: usize| after[index].saturating_sub(self.before[index]));
        let share =
            Duration::from_millis(stolen).as_secs_f64() / Duration::from_millis(all.max(1)).as_secs_f64();
        if share > TOLERABLE {
            warnings.push(format!("noisy machine: {:.0} % of its time was stolen by others", share * 100.0));
        }
        Ok(warnings)
    }
}

/// Stolen ticks and all ticks of all processors since the machine started.
fn stolen_and_all() -> Result<[u64; 2]> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line =
        stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).ok_or("no times of processors")?;
    let ticks: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    // user, nice, system, idle, iowait, irq, softirq, steal; guest time is part of user time.
    Ok([ticks.get(7).copied().unwrap_or_default(), ticks.iter().take(8).sum()])
}

fn spin() -> Duration {
    let begun = Instant::now();
    let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..20_000_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
    begun.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_times_and_memory() {
        let pid = std::process::id();
        assert!(times(pid).unwrap().parent > 0);
        assert!(cpu_of_process(pid).unwrap() <= cpu_of_postgres(pid).unwrap());
        let resident = resident_megabytes(pid).unwrap();
        assert!(resident > 0.5 && peak_megabytes(pid).unwrap() >= resident);
    }
}
