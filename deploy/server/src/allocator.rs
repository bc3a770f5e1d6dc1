//! The options of the allocator.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

const OPTIONS: [(&str, &str); 2] = [
    // Milliseconds until free memory is returned to the system. The default is a second, in which an attack can make
    // the process twice as large as the memory in use.
    ("MIMALLOC_PURGE_DELAY", "10"),
    // No transparent huge pages: clearing two megabytes stops a thread that serves many requests for several milliseconds.
    ("MIMALLOC_ALLOW_THP", "0"),
];

/// Sets the options that are not in the environment yet. `mimalloc` reads them before `main`, so the program executes
/// itself again, as the same process; if that fails, it continues with the defaults.
pub fn set_options() {
    let missing: Vec<_> = OPTIONS.into_iter().filter(|(name, _)| env::var_os(name).is_none()).collect();
    if missing.is_empty() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // It returns only if it fails.
    let _ = command.args(arguments).envs(missing).exec();
}
