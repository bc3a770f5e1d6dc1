//! A control group for everything that is measured, as a service manager or a container makes one.
//!
//! Without control groups Linux schedules by session (sched(7), autogroup), and each process of PostgreSQL is a session of
//! its own: niceness then means nothing between them. On a machine that only serves, all of the server is in one group.

use std::fs;
use std::path::{Path, PathBuf};

/// The roots of the hierarchies that have groups for the processor, in versions 1 and 2 of control groups.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"];

/// The group that this process and all that it starts are in. It is left and removed when this is dropped.
pub(crate) struct ControlGroup(PathBuf);

impl ControlGroup {
    /// Makes a group and joins it, which takes privileges.
    pub(crate) fn join() -> Option<Self> {
        let name = format!("kymograph-bench-{}", std::process::id());
        ROOTS.iter().find_map(|root| {
            let path = Path::new(root).join(&name);
            fs::create_dir(&path).ok()?;
            let is_for_processors = ["cpu.shares", "cpu.weight"].iter().any(|file| path.join(file).exists());
            if is_for_processors && move_to(&path) {
                return Some(Self(path));
            }
            drop(fs::remove_dir(&path));
            None
        })
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        if self.0.parent().is_some_and(move_to) {
            // It fails while a process of the group still ends; the empty group that then stays harms no other run.
            drop(fs::remove_dir(&self.0));
        }
    }
}

fn move_to(group: &Path) -> bool {
    fs::write(group.join("cgroup.procs"), "0").is_ok()
}
