use super::*;

/// Names, types, units, label names and the values of labels that are enums; no help and no value.
#[test]
fn the_metrics_are_these() {
    let metrics = Metrics::new();
    cameras(&metrics);
    streams(&metrics);
    clients(&metrics);
    for outcome in every!(ReloadOutcome; Applied, Partly, Refused) {
        metrics.config.reloaded(outcome);
    }
    metrics.segment.mode("MODE");
    metrics.segment.ended("REASON");
    metrics.segment.attempts("PROTOCOL", "VERDICT", 1);
    metrics.segment.device("CHANGE");
    let text = metrics.encode().replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let mut lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("# HELP") && *line != "# EOF")
        .map(|line| if line.starts_with('#') { line } else { line.rsplit_once(' ').unwrap().0 })
        .collect();
    lines.sort_unstable();
    assert_surface!("metrics", lines.join("\n"));
}

fn cameras(metrics: &Metrics) {
    let camera = metrics.camera.stream("STREAM");
    for state in every!(CameraState; Idle, Starting, Playing, Waiting) {
        camera.state(state);
    }
    metrics.camera.dropped("STREAM", "REASON", 1);
    metrics.camera.ended("STREAM", "REASON");
    metrics.camera.tls("STREAM", "VERSION", 1);
}

fn streams(metrics: &Metrics) {
    let stream = metrics.hub.stream("STREAM");
    for reason in every!(UnitRefused; UnknownTrack, BeforeRandomAccess, NoForm) {
        stream.refused(reason).inc();
    }
}

fn clients(metrics: &Metrics) {
    for result in every!(LoginResult; Right, Missing, Wrong, Stale, Throttled) {
        metrics.auth.login(result);
    }
    let endings = every!(Ending; SourceFull, Waited, HandshakeTimeout, HandshakeFailed, Panicked);
    for ending in endings {
        metrics.listen.ended("LISTENER", ending);
    }
    metrics.listen.accept_error("LISTENER");
    drop(metrics.listen.opened("LISTENER"));
    for kind in every!(TunnelKind; Https, WebSocket) {
        metrics.tunnel.opened("LISTENER", kind);
    }
    metrics.tunnel.refused("LISTENER");
    drop(metrics.rtsp_server.connection("LISTENER"));
    drop(metrics.rtsp_server.session("LISTENER"));
    drop(metrics.rtsp_server.reader("STREAM"));
}
