//! What only a reactor knows of a storage object: who has reserved it, and who is registered.

use super::Request;
use super::lines::Desk;
use core::time::Duration;
use felio_control::view::{PortView, RegistrationView, ReservationView};
use felio_control::{Refusal, RefusalKind, StorageKey};
use felio_engine::Holdings;
use felio_engine::reservation::{Port, Registered};

/// How long a reactor may take to answer: it does so in its next turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who has reserved a storage object. Waits for the reactor; one that is not open has no reservations that could be told of.
pub(super) fn reservations(desk: &Desk, storage: StorageKey) -> Result<ReservationView, Refusal> {
    let gone = || Refusal::new(RefusalKind::Busy, "felio is about to end");
    if !desk.shown.borrow().config.storage.contains_key(&storage) {
        return Err(Refusal::not_found(&storage));
    }
    let asked = desk.hand_in(|reply| Request::Reservations { storage: storage.clone(), reply });
    let answers = asked.and_then(|asked| asked.blocking_recv().ok()).ok_or_else(gone)?;
    let late = || Refusal::new(RefusalKind::Busy, "no answer from where it is served").at(&storage);
    match answers {
        Some(answers) => answers.recv_timeout(PATIENCE).map(view).map_err(|_| late()),
        None => Err(Refusal::new(RefusalKind::Busy, "it is not open").at(&storage)),
    }
}

fn view(holdings: Holdings) -> ReservationView {
    let Holdings { generation, aptpl, is_lost, registrations, kind, holder, reserved_by } = holdings;
    let registered = |Registered { port, key }: Registered| RegistrationView { port: port_view(port), key };
    ReservationView {
        generation,
        aptpl,
        lost: is_lost,
        registrations: registrations.into_iter().map(registered).collect(),
        kind,
        holder: holder.map(port_view),
        reserved_by,
    }
}

/// The engine names initiator ports with their fabric.
fn port_view(Port { initiator, target }: Port) -> PortView {
    let name = initiator.strip_prefix("iscsi:").unwrap_or(&initiator);
    PortView { initiator_port: name.to_owned(), rtpi: target }
}
