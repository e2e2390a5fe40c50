//! When the engine was kept from its work from outside, so that nobody blames it for that time.

use std::sync::{Arc, Mutex};

use crate::moment::{self, Micros};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The whole process was stopped by a signal.
    Stopped,
    /// The file system of the state directory had no room.
    DiskFull,
    /// The history of a plugin was forgotten.
    Forgetting,
}

struct Disturbance {
    kind: Kind,
    from: Micros,
    /// `None` as long as it lasts.
    until: Option<Micros>,
}

#[derive(Clone, Default)]
pub(crate) struct Disturbances(Arc<Mutex<Vec<Disturbance>>>);

/// Ends its disturbance when it is dropped.
pub(crate) struct Lasting {
    disturbances: Disturbances,
    index: usize,
}

impl Disturbances {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Disturbance>> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn begin(&self, kind: Kind) -> Lasting {
        let mut all = self.lock();
        all.push(Disturbance {
            kind,
            from: moment::now(),
            until: None,
        });
        Lasting {
            disturbances: self.clone(),
            index: all.len() - 1,
        }
    }

    /// Whether there was one of this kind at some time between these moments.
    pub(crate) fn any(&self, kind: Kind, from: Micros, until: Micros) -> bool {
        let all = self.lock();
        all.iter().rev().any(|one| {
            one.kind == kind && one.from <= until && one.until.is_none_or(|end| end >= from)
        })
    }
}

impl Drop for Lasting {
    fn drop(&mut self) {
        self.disturbances.lock()[self.index].until = Some(moment::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::SECOND;

    #[test]
    fn a_disturbance_counts_from_its_begin_to_its_end_and_for_its_kind() {
        let disturbances = Disturbances::default();
        let before = moment::now();
        let lasting = disturbances.begin(Kind::Stopped);
        let far = before + 1_000 * SECOND;
        assert!(disturbances.any(Kind::Stopped, far, far), "it lasts");
        drop(lasting);
        assert!(disturbances.any(Kind::Stopped, before, far));
        assert!(!disturbances.any(Kind::Stopped, far, far));
        assert!(!disturbances.any(Kind::Stopped, 0, before - SECOND));
        assert!(!disturbances.any(Kind::DiskFull, before, far));
    }
}
