//! A control group for everything that is measured, as a service manager or a container makes one.
//!
//! Where there is none, Linux schedules by session (sched(7), autogroup), and each process of PostgreSQL is a session of its
//! own: niceness then means nothing between them. On a machine that only serves, all of the server is in one group.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the groups for the processor are: of the first version of control groups, and of the second.
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
            // From here on the folder is removed again, also when it cannot be joined.
            let group = Self(path);
            let is_for_processors =
                ["cpu.shares", "cpu.weight"].iter().any(|file| group.0.join(file).exists());
            (is_for_processors && move_to(&group.0)).then_some(group)
        })
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        if self.0.parent().is_some_and(move_to) {
            // What is left while a process still ends is empty, and the next run has another name.
            drop(fs::remove_dir(&self.0));
        }
    }
}

fn move_to(group: &Path) -> bool {
    fs::write(group.join("cgroup.procs"), "0").is_ok()
}
