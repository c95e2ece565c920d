//! `camlock run --config FILE`.

use std::path::Path;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, StopSignals, block_on, check, no_signals, output};
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
        // Before anything else: a signal that nobody listens for ends the process.
        let (mut stop, hangup) = match signals() {
            Ok(signals) => signals,
            Err(exit) => return exit,
        };
        let mut gateway = match Gateway::start(loaded.settings).await {
            Ok(gateway) => gateway,
            Err(error) => {
                output::error(&error.to_string());
                return Exit::Failed;
            }
        };
        serve(&mut gateway, file, &mut stop, hangup).await;
        stop.stop(gateway).await;
        Exit::Done
    })
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
