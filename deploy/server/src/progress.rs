//! Shows progress: as a bar in a terminal, else as periodic lines.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// The interval of lines without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            let template = "{msg:>12} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, last_line: Mutex::new(Instant::now()) }
    }
}

impl Progress {
    /// Shows the activity, the completed number, and the total, 0 if unknown.
    #[allow(clippy::print_stderr, reason = "progress is for the user of a command")]
    pub fn show(&self, what: &str, done: u64, of: u64) {
        if let Some(bar) = &self.bar {
            if bar.message() != what {
                bar.set_message(what.to_owned());
                bar.reset_eta();
            }
            if of > 0 {
                bar.set_length(of);
            } else {
                bar.unset_length();
            }
            bar.set_position(done);
            return;
        }
        let mut last_line = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last_line.elapsed() >= LINE_EVERY {
            *last_line = Instant::now();
            if of > 0 {
                eprintln!("{what}: {done} of {of}");
            } else {
                eprintln!("{what}: {done}");
            }
        }
    }
}

impl Progress {
    /// Prints a result to standard output, without disturbing the bar.
    #[allow(clippy::print_stdout, reason = "the result is the purpose of the command")]
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| println!("{text}")),
            None => println!("{text}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
