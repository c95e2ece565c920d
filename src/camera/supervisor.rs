//! (being built)

use std::sync::Arc;

use crate::control::Board;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::segment::Segment;

use super::{CameraSettings, CannotStart};

/// All supervisors.
#[derive(Debug)]
pub(super) struct Supervisors {}

impl Supervisors {
    pub(super) fn start(
        cameras: Vec<CameraSettings>,
        segment: &Arc<Segment>,
        hub: &Hub,
        board: &Board,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, CannotStart> {
        let _ = (cameras, segment, hub, board, metrics);
        todo!()
    }

    pub(super) async fn shutdown(self) {
        todo!()
    }
}
