//! The hostile cameras of the end-to-end tests (`tests/e2e/hostile_camera.py`) against the airlock alone, each over a
//! socket pair: whatever a mode does, it ends for a reason that is right. What each costs a whole gateway in memory and
//! time is measured there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::io::{self, BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use camlock::ingest::camera::airlock::{
    BasicPolicy, Login, LoginMemory, ReportedTime, Request, Sink, Unit, open,
};
use camlock::media::Kinds;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Most of them wait.
const AT_ONCE: usize = 12;
/// No connection of these cameras lives longer, but for the one that is left out.
const PATIENCE: Duration = Duration::from_secs(40);
/// Plays for over a minute; the end-to-end tests do so.
const TOO_LONG: &str = "lawful_maximum";

struct Mode {
    name: String,
    /// Labels of the reasons that are right.
    ends: Vec<String>,
    basic: BasicPolicy,
}

#[tokio::test]
async fn each_hostile_camera_gets_a_named_end() {
    let (places, mut running) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for mode in modes().into_iter().filter(|mode| mode.name != TOO_LONG) {
        let places = Arc::clone(&places);
        running.spawn(async move {
            let _place = places.acquire().await.unwrap();
            let end = tokio::time::timeout(PATIENCE, end_of(&mode)).await.unwrap_or("none in time");
            let right = mode.ends.iter().any(|label| label == end);
            (!right).then(|| format!("{} ended for {end}, not {:?}", mode.name, mode.ends))
        });
    }
    let faults: Vec<_> = running.join_all().await.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The media is not what is looked at.
struct Unwatched;

impl Sink for Unwatched {
    fn unit(&mut self, _: Unit) {}
    fn report(&mut self, _: ReportedTime) {}
}

/// What `hostile_camera.py --list` says of each.
fn modes() -> Vec<Mode> {
    let listed = camera(&["--list"]).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let text = String::from_utf8(listed.stdout).unwrap();
    let modes: Vec<_> = text.lines().map(mode).collect();
    assert!(modes.len() > 80, "{text}");
    modes
}

fn mode(line: &str) -> Mode {
    let [name, ends, within, basic] = line.split('\t').collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    let mut ends: Vec<_> = ends.split(',').map(str::to_owned).collect();
    // Nothing forbids what has no limit. A changed format is found behind the airlock.
    if within == "None" || ends.iter().any(|label| label == "format_changed") {
        ends.extend(["camera_closed", "camera_lost"].map(str::to_owned));
    }
    let basic = if basic == "True" { BasicPolicy::Allow } else { BasicPolicy::Refuse };
    Mode { name: name.to_owned(), ends, basic }
}

fn camera(arguments: &[&str]) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/hostile_camera.py");
    let mut command = Command::new("python3");
    command.arg("-IB").arg(script).args(arguments);
    command
}

/// Plays a mode to its end; the label of the reason.
async fn end_of(mode: &Mode) -> &'static str {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let stdin = Stdio::from(OwnedFd::from(theirs));
    let mut child =
        camera(&[&mode.name, "--stdin"]).stdin(stdin).stdout(Stdio::piped()).spawn().unwrap();
    let said = child.stdout.take().unwrap();
    // Its start is not what is measured.
    tokio::task::spawn_blocking(|| BufReader::new(said).read_line(&mut String::new()))
        .await
        .unwrap()
        .unwrap();
    let request = Request {
        url: "rtsp://127.0.0.1:554/stream".parse().unwrap(),
        login: Some(Login { user: "admin".into(), password: "planted".to_owned().into() }),
        basic: mode.basic,
        user_agent: "Camlock".into(),
        kinds: Kinds::ALL,
    };
    let redial = || async { Err(io::Error::other("once")) };
    let stream = UnixStream::from_std(ours).unwrap();
    let opened = open(stream, redial, &request, LoginMemory::Nothing, std::future::pending()).await;
    let reason = match opened {
        Err(failure) => failure.reason,
        Ok(mut session) => loop {
            if let Err(reason) = session.step(&mut Unwatched).await {
                break reason;
            }
        },
    };
    child.kill().unwrap();
    child.wait().unwrap();
    reason.label()
}
