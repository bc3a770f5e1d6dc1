//! The fate of a pending commit that other commits are decided on.

use kymograph_domain::OrgId;
use tokio::sync::watch;

/// Reports the fate of a commit. If it is dropped without a report, the commit has failed.
#[derive(Debug)]
pub struct Verdict {
    org: OrgId,
    told: watch::Sender<Option<bool>>,
}

/// The fate of a commit: open until it is written or has failed.
#[derive(Clone, Debug)]
pub struct Fate {
    org: OrgId,
    told: watch::Receiver<Option<bool>>,
}

impl Verdict {
    /// A verdict on a commit to the log of an org.
    #[must_use]
    pub fn new(org: OrgId) -> Self {
        Self { org, told: watch::Sender::new(None) }
    }

    /// The fate that this reports.
    #[must_use]
    pub fn fate(&self) -> Fate {
        Fate { org: self.org, told: self.told.subscribe() }
    }

    /// Reports whether the commit was written.
    pub fn tell(&self, has_landed: bool) {
        self.told.send_replace(Some(has_landed));
    }
}

impl Fate {
    fn told(&self) -> Option<bool> {
        let told = *self.told.borrow();
        told.or_else(|| self.told.has_changed().is_err().then_some(false))
    }

    /// The org whose log the commit is for.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// Whether the commit is still pending.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.told().is_none()
    }

    /// Whether the commit was not written.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.told() == Some(false)
    }

    /// Waits until the fate is no longer open.
    pub async fn settled(&self) {
        // An error means that the verdict was dropped.
        drop(self.told.clone().wait_for(Option::is_some).await);
    }

    /// Whether it is the fate of the same commit.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.told.same_channel(&other.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fates_are_told_or_bad() {
        let [landed, failed, dropped] = [1, 1, 2].map(|org| Verdict::new(OrgId(org)));
        let fates = [landed.fate(), failed.fate(), dropped.fate()];
        assert!(fates.iter().all(|fate| fate.is_open() && !fate.has_failed()));
        let waiting = tokio::spawn({
            let fates = fates.clone();
            async move {
                for fate in &fates {
                    fate.settled().await;
                }
            }
        });
        landed.tell(true);
        failed.tell(false);
        drop((landed, dropped));
        waiting.await.unwrap();
        assert_eq!(fates.each_ref().map(Fate::is_open), [false; 3]);
        assert_eq!(fates.each_ref().map(Fate::has_failed), [false, true, true]);
        assert_eq!(fates.each_ref().map(Fate::org), [1, 1, 2].map(OrgId));
        assert!(fates[0].is_same(&fates[0].clone()) && !fates[0].is_same(&fates[1]));
    }
}
