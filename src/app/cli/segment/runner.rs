//! Carries out steps: in the box's network as it is, in the segment's on a thread that enters the namespace.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::net::Failed;
use crate::segment::Place;
use crate::segment::network::{Action, Link, State, Step, Sysctl, Tool, Where, links};

/// Where the tools are; nobody but root can write there.
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// One command's right to change the network.
#[derive(Debug)]
pub(super) struct Runner {
    pin: PathBuf,
    /// Held until the command ends: two of them never mix their steps.
    _alone: File,
}

impl Runner {
    /// Waits until no other command changes a segment.
    pub(super) fn new(place: &Place) -> Result<Self, Failed> {
        let path = Path::new("/run/camlock-segment.lock");
        let alone = File::create(path).and_then(|file| file.lock().map(|()| file));
        let alone = alone
            .map_err(|error| Failed::Step(format!("cannot lock {}: {error}", path.display())))?;
        Ok(Self { pin: place.pin(), _alone: alone })
    }

    /// The interfaces there are now.
    pub(super) fn state(&self) -> Result<State, Failed> {
        let outside = shown()?;
        let (inside, stale) = match self.inside(shown) {
            Ok(links) => (Some(links?), false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, false),
            // The pin of a namespace that was never there, or is unmounted, is a plain file.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => (None, true),
            Err(error) => return Err(self.closed_to_us(&error)),
        };
        Ok(State { outside, inside, stale, pid: std::process::id() })
    }

    /// Does the steps in order, up to the first that fails.
    pub(super) fn run(&self, steps: &[Step]) -> Result<(), Failed> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    /// Does all steps, also after one failed: closing goes as far as it can. Tells the first failure.
    pub(super) fn run_all(&self, steps: &[Step]) -> Result<(), Failed> {
        let failed = steps.iter().filter_map(|step| self.step(step).err()).collect::<Vec<_>>();
        failed.into_iter().next().map_or(Ok(()), Err)
    }

    fn step(&self, step: &Step) -> Result<(), Failed> {
        let done = match step.place {
            Where::Box => act(&step.action),
            Where::Segment => {
                self.inside(|| act(&step.action)).map_err(|error| self.closed_to_us(&error))?
            }
        };
        done.map_err(|why| Failed::Step(format!("{}: {}: {why}", step.purpose, step.action)))
    }

    /// Does something in the namespace. Threads have namespaces of their own, and the tools they start inherit them.
    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        let namespace = File::open(&self.pin)?;
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(work())
            });
            inside.join().map_err(|_| io::Error::other("it failed inside the namespace"))?
        })
    }

    fn closed_to_us(&self, error: &io::Error) -> Failed {
        let pin = self.pin.display();
        Failed::Step(format!(
            "cannot enter the namespace {pin}: {error}; root needs CAP_SYS_ADMIN for it"
        ))
    }
}

/// The interfaces of this thread's network.
fn shown() -> Result<Vec<Link>, Failed> {
    let failed = |why: &str| Failed::Step(format!("reading the interfaces: {why}"));
    let args = ["-json", "address", "show"].map(str::to_owned);
    let output = spawn(Tool::Ip, &args, None).map_err(|why| failed(&why))?;
    let json = String::from_utf8_lossy(&output.stdout);
    // Of no interfaces the tool says nothing.
    links(if json.trim().is_empty() { "[]" } else { &json }).map_err(|error| {
        failed(&format!("`ip -json address show` printed output that cannot be parsed: {error}"))
    })
}

fn act(action: &Action) -> Result<(), String> {
    match action {
        Action::Run { tool, args, input } => spawn(*tool, args, input.as_deref()).map(|_| ()),
        Action::Set(setting) => set(setting),
    }
}

fn set(setting: &Sysctl) -> Result<(), String> {
    match fs::write(Path::new("/proc/sys").join(&setting.key), setting.value) {
        Err(error) if setting.optional && error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("{error}; is /proc/sys writable?")),
        Ok(()) => Ok(()),
    }
}

/// Runs a tool with nothing of our environment, and takes what it says.
pub(super) fn spawn(tool: Tool, args: &[String], input: Option<&str>) -> Result<Output, String> {
    let program = DIRECTORIES.iter().map(|directory| Path::new(directory).join(tool.name()));
    let program = program.clone().find(|program| program.is_file()).ok_or_else(|| {
        format!("{} not found: install the package {}", tool.name(), tool.package())
    })?;
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .env("PATH", DIRECTORIES.join(":"))
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // A tool that does not want to hear it says why by itself. It reads all before it writes.
        drop(stdin.write_all(input.as_bytes()));
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{} ({})", said.trim(), output.status))
}
