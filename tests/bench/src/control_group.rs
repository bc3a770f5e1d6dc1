//! A control group for all measured processes, like those of a service manager or a container.
//!
//! Without control groups Linux schedules by session (sched(7), autogroup), and each process of PostgreSQL is a
//! separate session: niceness then has no effect between them. On a dedicated machine, all of the server is in one
//! group.

use std::fs;
use std::path::{Path, PathBuf};

/// The roots of the hierarchies with groups for the processor, in versions 1 and 2 of control groups.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"];

/// The group of this process and all that it starts. The process leaves it, and it is removed, when this is dropped.
pub(crate) struct ControlGroup(PathBuf);

impl ControlGroup {
    /// Creates a group and joins it, which requires privileges.
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
            // It fails while a process of the group is still ending; the empty group that remains does not affect other
            // runs.
            drop(fs::remove_dir(&self.0));
        }
    }
}

fn move_to(group: &Path) -> bool {
    fs::write(group.join("cgroup.procs"), "0").is_ok()
}
