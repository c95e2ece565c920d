//! A unit's way through the hub: pushed, and taken by readers that wait for it.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camlock::app::simulator::{PatternCodec, Unit};
use camlock::hub::{Hub, Interrupt, Publisher, Subscription};
use camlock::media::{AccessUnit, Kinds, StreamName, StreamPattern};
use camlock::ops::metrics::Metrics;
use camlock::trust::auth::{
    Authenticator, Credential, Grant, Offer, Presented, Settings, User, generate_secret,
};
use futures_util::FutureExt as _;
use secrecy::ExposeSecret as _;

use super::{Clock, Result, Step, bytes, pictures};

/// A reader's task; it ends when something is wrong.
type Reader = Pin<Box<dyn Future<Output = Interrupt>>>;

/// A stream that plays to some readers.
struct Stream {
    units: Vec<Unit>,
    clock: Clock,
    publisher: Publisher,
    readers: Vec<Reader>,
    /// Units that all readers together took.
    taken: Rc<Cell<usize>>,
    ready: Vec<AccessUnit>,
    /// While it lives, the readers' permits hold.
    _authenticator: Authenticator,
    _hub: Arc<Hub>,
}

pub(super) fn step(readers: usize) -> Result<Box<dyn Step>> {
    let units = pictures(PatternCodec::H264)?;
    let name = StreamName::parse("door/main")?;
    let hub = Hub::new();
    let publisher = hub.declare(name.clone())?;
    publisher.set_tracks(vec![Arc::clone(&units.first().ok_or("no pictures")?.track)]);
    let (secret, stored) = generate_secret("viewer");
    let grant = Grant { streams: StreamPattern::parse("*")?, kinds: Kinds::ALL };
    let user = User::new("viewer", Credential::Generated(stored), vec![grant])?;
    let authenticator = Authenticator::new(Settings { users: vec![user] }, Metrics::new());
    let basic = STANDARD.encode(format!("viewer:{}", secret.expose_secret()));
    let authorization = format!("Basic {basic}");
    let uri = "rtsps://localhost/door/main";
    let presented = Presented { method: "PLAY", uri, authorization: Some(&authorization) };
    let mut login = authenticator.connection(IpAddr::V4(Ipv4Addr::LOCALHOST), &Offer::Secure, None);
    let principal = authenticator.authenticate(&mut login, presented).now_or_never();
    let principal = principal.ok_or("a generated secret is judged at once")??;
    let taken = Rc::default();
    let subscribe = |_| {
        let subscription = hub.subscribe(authenticator.permit(&principal, &name)?)?;
        Ok(Box::pin(read(subscription, Rc::clone(&taken))) as Reader)
    };
    let readers = (0..readers).map(subscribe).collect::<Result<_>>()?;
    Ok(Box::new(Stream {
        units,
        clock: Clock::new(),
        publisher,
        readers,
        taken,
        ready: Vec::new(),
        _authenticator: authenticator,
        _hub: hub,
    }))
}

/// Takes units, and waits for the next.
async fn read(mut subscription: Subscription, taken: Rc<Cell<usize>>) -> Interrupt {
    loop {
        match subscription.next().await {
            Ok(_published) => taken.set(taken.get() + 1),
            Err(interrupt) => return interrupt,
        }
    }
}

impl Step for Stream {
    fn units(&self) -> usize {
        self.units.len()
    }

    fn bytes(&self) -> usize {
        bytes(&self.units)
    }

    fn prepare(&mut self) -> Result<()> {
        self.clock.next_pass();
        self.taken.set(0);
        self.ready.extend(self.units.iter().map(|unit| self.clock.access_unit(unit)));
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        let mut context = Context::from_waker(Waker::noop());
        for unit in self.ready.drain(..) {
            self.publisher.push(unit);
            for reader in &mut self.readers {
                if let Poll::Ready(interrupt) = reader.as_mut().poll(&mut context) {
                    return Err(interrupt.into());
                }
            }
        }
        let all = self.units.len() * self.readers.len();
        if self.taken.get() == all { Ok(()) } else { Err("a reader was not given a unit".into()) }
    }
}
