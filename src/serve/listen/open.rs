//! The open connections of a listener: a task each, told when to end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;
use tokio::task::{Id, JoinSet};

use super::accept::{Accepted, Arrived, Entrance};

/// A future that returns when the listener of a connection stops.
#[derive(Debug)]
pub struct Stop(oneshot::Receiver<Infallible>);

impl Future for Stop {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Err(_dropped) = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(())
    }
}

/// The connections of a listener.
pub(super) struct Open {
    entrance: Arc<Entrance>,
    tasks: JoinSet<()>,
    /// Dropped to tell a task to end.
    stops: HashMap<Id, oneshot::Sender<Infallible>>,
}

impl Open {
    pub(super) fn new(entrance: Arc<Entrance>) -> Self {
        Self { entrance, tasks: JoinSet::new(), stops: HashMap::new() }
    }

    pub(super) fn spawn<H, F>(&mut self, arrived: Arrived, handler: &Arc<H>)
    where
        H: Fn(Accepted) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (entrance, handler) = (Arc::clone(&self.entrance), Arc::clone(handler));
        let (sender, stop) = oneshot::channel();
        let task = self.tasks.spawn(async move {
            let Arrived { tcp, peer, arrival, _counted } = arrived;
            let _open = entrance.gate.metrics.listen.opened(&entrance.name);
            if let Some(accepted) = entrance.admit(tcp, peer, arrival, Stop(stop)).await {
                handler(accepted).await;
            }
        });
        self.stops.insert(task.id(), sender);
    }

    /// Waits for one to end. Cancel-safe. Never returns while there is none.
    pub(super) async fn one_ends(&mut self) {
        let Some(ended) = self.tasks.join_next_with_id().await else { return pending().await };
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.stops.remove(&id);
        self.entrance.report(ended.map(drop));
    }

    /// Tells all to end, and waits for them.
    pub(super) async fn stop(mut self) {
        self.stops.clear();
        while !self.tasks.is_empty() {
            self.one_ends().await;
        }
    }
}
