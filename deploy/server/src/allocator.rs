//! The options of the allocator.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// After how many milliseconds free memory is given back to the system. By default it is a second, in which an attack can make
/// the process twice as large as what it uses.
const PURGE_DELAY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "10");

/// Sets the options, unless somebody has. `mimalloc` reads them from the environment before `main`, so the program begins once
/// more, as the same process; where it cannot, it goes on with the defaults.
pub fn set_options() {
    let (name, value) = PURGE_DELAY;
    if env::var_os(name).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    // It returns only if it fails.
    let _ = command.args(arguments).env(name, value).exec();
}
