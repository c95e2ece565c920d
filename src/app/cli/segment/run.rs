//! `camlock segment run`.

use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::place::{self, PlaceOptions};
use crate::app::cli::{Exit, StopSignals, no_signals, output};
use crate::app::gateway::segment_service::{Segment, Told};
use crate::ops::telemetry::{self, Format, Level};
use crate::segment::Plan;

/// Options of `camlock segment run`.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    place: PlaceOptions,
}

/// Runs the segment's service until it is told to stop.
pub(super) fn run(options: &Options) -> Exit {
    telemetry::install(telemetry::Settings { format: Format::Text, level: Level::Info });
    let place = options.place.place();
    let plan = match plan(&place.file) {
        Ok(plan) => plan,
        Err(faults) => {
            output::error(&faults);
            return Exit::BadConfig;
        }
    };
    let file = place.file.clone();
    // Sockets are opened and all rights given up before the runtime makes its first thread.
    let segment = match Segment::open(place, plan) {
        Ok(segment) => segment,
        Err(error) => {
            output::error(&error.to_string());
            return Exit::Failed;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(serve(segment, &file)),
        Err(error) => {
            output::error(&format!("cannot start: {error}"));
            Exit::Failed
        }
    }
}

async fn serve(segment: Segment, file: &Path) -> Exit {
    let (mut stop, mut hangup) = match (StopSignals::new(), signal(SignalKind::hangup())) {
        (Ok(stop), Ok(hangup)) => (stop, hangup),
        (Err(exit), _) => return exit,
        (_, Err(error)) => return no_signals(&error),
    };
    let mut running = match segment.start() {
        Ok(running) => running,
        Err(error) => {
            output::error(&error.to_string());
            return Exit::Failed;
        }
    };
    loop {
        let told = tokio::select! {
            () = stop.next() => Told::Stop,
            _ = hangup.recv() => reload(file),
            error = running.failed() => {
                output::error(&error.to_string());
                running.stop().await;
                return Exit::Failed;
            }
        };
        match told {
            Told::Stop => {
                running.stop().await;
                return Exit::Done;
            }
            Told::Plan(plan) => running.set_plan(plan),
            Told::Nothing => {}
        }
    }
}

fn reload(file: &Path) -> Told {
    match plan(file) {
        Ok(plan) => Told::Plan(Arc::new(plan)),
        Err(faults) => {
            for fault in faults.lines() {
                tracing::warn!("{fault}");
            }
            tracing::warn!("the new segment file has errors; the old one stays in use");
            Told::Nothing
        }
    }
}

/// Whoever reads the file: nobody but root may be able to write it.
fn plan(file: &Path) -> Result<Plan, String> {
    let (plan, writers) = place::read(file)?;
    writers.map_err(|why| format!("{}: {why}", file.display()))?;
    Ok(plan)
}
