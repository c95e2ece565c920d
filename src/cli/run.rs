//! `camlock run --config FILE`.

use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, block_on, check, output, stopped};
use crate::app::Gateway;
use crate::config::Loaded;
use crate::telemetry;

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
    block_on(async {
        // Before anything else: a SIGHUP that nobody listens for ends the process.
        let hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => {
                output::error(&format!("cannot listen for signals: {error}"));
                return Exit::Failed;
            }
        };
        let mut gateway = match Gateway::start(loaded.settings).await {
            Ok(gateway) => gateway,
            Err(error) => {
                output::error(&error.to_string());
                return Exit::Failed;
            }
        };
        serve(&mut gateway, file, hangup).await;
        gateway.shutdown().await;
        Exit::Done
    })
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}

/// Until told to stop; SIGHUP reads the configuration anew, and one with faults changes nothing.
async fn serve(gateway: &mut Gateway, file: &Path, mut hangup: Signal) {
    let mut stop = std::pin::pin!(stopped());
    loop {
        tokio::select! {
            () = &mut stop => return,
            _ = hangup.recv() => match check::load(file) {
                Ok(loaded) => {
                    warn(&loaded);
                    gateway.reload(loaded.settings).await;
                }
                Err(faults) => gateway.reload_refused(&faults),
            },
        }
    }
}
