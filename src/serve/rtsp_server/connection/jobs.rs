//! What a request waits for, outside the connection's loop: a login, a subscription.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::timeout;

use crate::hub::{CannotSubscribe, Interrupt, Subscription};
use crate::serve::overload::Lack;
use crate::serve::rtsp_server::Server;
use crate::serve::rtsp_server::machine::{NeedsLogin, Offered, Open, Refusal, Refused};
use crate::trust::auth::{ConnectionLogin, Permit, Presented, Principal};

/// At most one runs for a connection; its drop ends it.
pub(super) type Job = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What came of it.
pub(super) enum Done {
    Login(Box<ConnectionLogin>, NeedsLogin, Result<Arc<Principal>, Refusal>),
    Open(Open, Result<OpenedStream, Refused>),
}

/// A subscription whose tracks are known.
pub(super) struct OpenedStream {
    pub(super) subscription: Subscription,
    pub(super) offered: Vec<Offered>,
}

/// Asks who sends the request.
pub(super) fn login(
    server: Arc<Server>,
    mut login: Box<ConnectionLogin>,
    arrived: NeedsLogin,
) -> Job {
    Box::pin(async move {
        let request = arrived.request();
        let presented = Presented {
            method: &request.method_text,
            uri: &request.uri,
            authorization: request.headers.get("Authorization"),
        };
        let who = match server.authenticator.authenticate(&mut login, presented).await {
            Ok(principal) => Ok(principal),
            Err(denial) => {
                let challenges = server.authenticator.challenges(&mut login, denial);
                Err(Refusal { denial, challenges })
            }
        };
        Done::Login(login, arrived, who)
    })
}

/// Asks for a permit and a subscription, and waits for its tracks. `kept` is the one that a DESCRIBE left.
pub(super) fn open(server: Arc<Server>, open: Open, kept: Option<Subscription>) -> Job {
    Box::pin(async move {
        let outcome = opened(&server, &open, kept).await;
        Done::Open(open, outcome)
    })
}

async fn opened(
    server: &Server,
    open: &Open,
    kept: Option<Subscription>,
) -> Result<OpenedStream, Refused> {
    let permit = server
        .authenticator
        .permit(open.principal(), open.stream())
        .map_err(|_| Refused::NoStream)?;
    let kept = kept.filter(|kept| {
        let old = kept.permit();
        old.is_valid()
            && old.stream() == permit.stream()
            && old.kinds() == permit.kinds()
            && *old.principal() == *permit.principal()
    });
    let may_renew = kept.is_some() && open.describes();
    let mut subscription = match kept {
        Some(kept) => kept,
        None => subscribe(server, permit.clone())?,
    };
    let wait = server.settings.describe_wait;
    let mut tracks = timeout(wait, subscription.tracks()).await;
    if may_renew && matches!(tracks, Ok(Err(Interrupt::Ended(_)))) {
        // What the DESCRIBE before found is no more; this one is to say what there is now.
        subscription = subscribe(server, permit)?;
        tracks = timeout(wait, subscription.tracks()).await;
    }
    let tracks = match tracks {
        Ok(Ok(tracks)) => tracks,
        Ok(Err(Interrupt::Revoked)) => return Err(Refused::NoStream),
        Ok(Err(Interrupt::Lagged { .. } | Interrupt::Ended(_))) | Err(_) => {
            return Err(Refused::NotReady);
        }
    };
    let offered = tracks
        .into_iter()
        .map(|track| {
            let ssrc = subscription.position(track.id).map(|position| position.ssrc);
            Offered { track, ssrc }
        })
        .collect();
    Ok(OpenedStream { subscription, offered })
}

/// A new reader. Asked first: a subscription would wake an on-demand camera.
fn subscribe(server: &Server, permit: Permit) -> Result<Subscription, Refused> {
    server.load.admit().map_err(|lack| match lack {
        Lack::Of(resource) => Refused::Overloaded(resource),
        Lack::Proof => Refused::Unproven,
    })?;
    server.hub.subscribe(permit).map_err(|cannot| match cannot {
        CannotSubscribe::NotPublished => Refused::NoStream,
        CannotSubscribe::TooMany => Refused::Full,
    })
}
