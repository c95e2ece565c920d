//! `camlock run --config FILE`.

use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, StopSignals, block_on, check, no_signals, output};
use crate::app::config::Loaded;
use crate::app::gateway::{Gateway, StartError};
use crate::ops::systemd::{self, Sockets};
use crate::ops::telemetry;

/// Runs the gateway until it is told to stop.
pub(super) fn run(file: &Path) -> Exit {
    let loaded = match check::load(file) {
        Ok(loaded) => loaded,
        Err(faults) => {
            output::error(&faults);
            return Exit::BadConfig;
        }
    };
    telemetry::install(loaded.settings.log);
    warn(&loaded);
    // While this is the only thread.
    let sockets = match Sockets::of_this_process() {
        Ok(sockets) => sockets,
        Err(bad) => {
            output::error(&bad.to_string());
            return Exit::BadConfig;
        }
    };
    block_on(async {
        // Before anything else: a signal that nobody listens for ends the process.
        let (mut stop, hangup) = match signals() {
            Ok(signals) => signals,
            Err(exit) => return exit,
        };
        let mut gateway = match Gateway::start(loaded.settings, sockets).await {
            Ok(gateway) => gateway,
            Err(error) => {
                output::error(&error.to_string());
                return exit(&error);
            }
        };
        systemd::ready(SERVES);
        serve(&mut gateway, file, &mut stop, hangup).await;
        systemd::stopping();
        stop.stop(gateway).await;
        Exit::Done
    })
}

/// What the service manager shows of a gateway that runs.
const SERVES: &str = "serves";

/// A restart helps against none of the faults of a configuration.
fn exit(error: &StartError) -> Exit {
    match error {
        StartError::Sockets(_) => Exit::BadConfig,
        StartError::Store(_)
        | StartError::Tls(_)
        | StartError::Listen(_)
        | StartError::Admin { .. } => Exit::Failed,
    }
}

fn signals() -> Result<(StopSignals, Signal), Exit> {
    let hangup = signal(SignalKind::hangup()).map_err(|error| no_signals(&error))?;
    Ok((StopSignals::new()?, hangup))
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}

/// Until told to stop; SIGHUP reads the configuration anew, and one with faults changes nothing.
async fn serve(gateway: &mut Gateway, file: &Path, stop: &mut StopSignals, mut hangup: Signal) {
    loop {
        tokio::select! {
            () = stop.next() => return,
            _ = hangup.recv() => {
                systemd::reloading();
                systemd::ready(reload(gateway, file).await);
            }
        }
    }
}

/// Returns what to show of it.
async fn reload(gateway: &mut Gateway, file: &Path) -> &'static str {
    match check::load(file) {
        Ok(loaded) => {
            warn(&loaded);
            gateway.reload(loaded.settings).await;
            SERVES
        }
        Err(faults) => {
            gateway.reload_refused(&faults);
            "running with the old configuration: the new one has errors, see the log"
        }
    }
}
