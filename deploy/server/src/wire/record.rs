//! The parts of the audit log, histories and undo.

use std::sync::Arc;

use kymograph_app::Commands;
use kymograph_app::account::membership::OrgGrantees;
use kymograph_app::content::ContentServices;
use kymograph_app::kernel::ending::Endings;
use kymograph_app::record::RecordServices;
use kymograph_app::record::audit::Audits;
use kymograph_app::record::history::{Histories, HistoryPorts};
use kymograph_app::record::undo::{UndoPorts, Undos};
use kymograph_app::rights::resource_permission::GuardedKinds;
use kymograph_projections::record::audit::PgAuditReader;
use kymograph_projections::record::history::PgHistoryReader;
use kymograph_projections::record::undo::PgUndoReader;

use super::content::ContentReaders;
use super::kernel::Kernel;
use super::rights::RightsReaders;

pub(super) fn services(
    kernel: &Kernel<'_>,
    commands: &Commands,
    rights: &RightsReaders,
    content: (&ContentReaders, &ContentServices),
    kinds: GuardedKinds,
    endings: Endings,
) -> RecordServices {
    let (readers, content) = content;
    let database = &kernel.database;
    let histories = Arc::new(PgHistoryReader::new(database.clone()));
    let audits = PgAuditReader::new(database.clone(), kernel.log.clone());
    let undo_ports = UndoPorts {
        reader: Arc::new(PgUndoReader::new(database.clone())),
        histories: histories.clone(),
        folders: readers.folders.clone(),
        kinds: kinds.clone(),
        grantees: Arc::new(OrgGrantees),
        endings: endings.clone(),
        ids: kernel.ids.clone(),
        workers: kernel.workers.clone(),
    };
    let history_ports = HistoryPorts {
        reader: histories.clone(),
        authorization: rights.authorization.clone(),
        kinds,
        folders: content.folders.clone(),
        endings,
        ids: kernel.ids.clone(),
        workers: kernel.workers.clone(),
    };
    RecordServices {
        audits: Arc::new(Audits::new(
            Arc::new(audits),
            kernel.log.clone(),
            histories,
            kernel.server_keys.clone(),
            kernel.clock.clone(),
            kernel.workers.clone(),
        )),
        histories: Arc::new(Histories::new(commands.clone(), history_ports)),
        undos: Arc::new(Undos::new(commands.clone(), undo_ports)),
    }
}
