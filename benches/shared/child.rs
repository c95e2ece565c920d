//! Processes: started, talked to by lines, and measured through `/proc`.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::Result;

/// A process of the bench. Dropping it kills it.
pub struct Part {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Part {
    /// This bench once more, in another role.
    pub fn role(role: &str, arguments: &[String]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--role").arg(role).args(arguments);
        Self::start(command)
    }

    /// A command of the gateway.
    pub fn camlock<S: AsRef<OsStr>>(arguments: &[S]) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_camlock"));
        command.args(arguments);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, input, output })
    }

    /// The next line it prints.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("a part of the bench ended early".into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Sends a line and takes the answer.
    pub fn ask(&mut self, question: &str) -> Result<String> {
        writeln!(self.input, "{question}")?;
        self.input.flush()?;
        self.line()
    }

    /// User and system time of each of its threads so far, by the scheduler's own count in nanoseconds (`stat`
    /// counts in steps of 10 ms). With it, [`Self::cpu_since`] is right where threads end: what one of them took before
    /// is not taken for time of the window.
    pub fn cpu_by_thread(&self) -> Result<HashMap<OsString, Duration>> {
        let mut threads = HashMap::new();
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let task = task?;
            // It may end meanwhile.
            let Ok(text) = std::fs::read_to_string(task.path().join("schedstat")) else { continue };
            let nanos = text.split(' ').next().unwrap_or_default().parse()?;
            threads.insert(task.file_name(), Duration::from_nanos(nanos));
        }
        Ok(threads)
    }

    /// User and system time since then, seconds; without that of threads that ended since.
    pub fn cpu_since(&self, before: &HashMap<OsString, Duration>) -> Result<f64> {
        let now = self.cpu_by_thread()?;
        let since = |(thread, time): (&OsString, &Duration)| {
            time.saturating_sub(before.get(thread).copied().unwrap_or_default())
        };
        Ok(now.iter().map(since).sum::<Duration>().as_secs_f64())
    }

    /// Resident memory, KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(line.ok_or("no VmRSS")?.trim().trim_end_matches(" kB").parse()?)
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The role and its arguments, if this process is a part of a bench.
pub fn role() -> Option<(String, Vec<String>)> {
    let mut arguments = std::env::args().skip(1);
    (arguments.next()? == "--role")
        .then(|| (arguments.next().unwrap_or_default(), arguments.collect()))
}

/// Answers each line of standard input with `answer`, until it ends.
pub fn answer_lines(mut answer: impl FnMut(&str) -> String) -> Result<()> {
    for line in std::io::stdin().lines() {
        say(&answer(&line?))?;
    }
    Ok(())
}

/// One line to whoever watches the bench.
pub fn complain(line: &str) {
    // There is nobody else to tell.
    drop(writeln!(std::io::stderr(), "{line}"));
}

/// One line to whoever started this part.
pub fn say(line: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    Ok(output.flush()?)
}
