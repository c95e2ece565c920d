//! What root may ask the service for: one line of JSON for each connection.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use crate::ops::limits;
use crate::ops::systemd::Progress;
use crate::segment::CanaryResult;

/// What root asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Write all that is known into the ledger, and a checkpoint. Says `true`.
    Flush(bool),
    /// The canary ran.
    Canary(CanaryResult),
}

/// What it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// The records that the ledger has now.
    Records(u64),
    /// Done.
    Ok(bool),
    /// Not done, and why.
    Error(String),
}

/// Does what root asks, one after the other, until the future is dropped. Advances its progress at least once a second while
/// nothing is asked, and after each.
pub async fn serve<A>(listener: UnixListener, progress: Progress, act: impl Fn(Command) -> A)
where
    A: Future<Output = Reply>,
{
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = second.tick() => {}
            accepted = listener.accept() => match accepted {
                // Who went away is told nothing.
                Ok((stream, _)) => drop(answer(stream, &act).await),
                Err(_) => tokio::time::sleep(limits::ACCEPT_PAUSE_MIN).await,
            },
        }
        progress.advance();
    }
}

async fn answer<A>(mut stream: UnixStream, act: &impl Fn(Command) -> A) -> io::Result<()>
where
    A: Future<Output = Reply>,
{
    let reply = if stream.peer_cred()?.uid() == 0 {
        match timeout(limits::SEGMENT_ASK, read(&mut stream)).await? {
            Ok(command) => act(command).await,
            Err(error) => Reply::Error(format!("no such command: {error}")),
        }
    } else {
        Reply::Error("root only".to_owned())
    };
    let mut line = serde_json::to_vec(&reply).map_err(io::Error::other)?;
    line.push(b'\n');
    timeout(limits::SEGMENT_ASK, stream.write_all(&line)).await?
}

/// One line, or all until the end.
async fn read(stream: &mut UnixStream) -> io::Result<Command> {
    let mut line = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let read = stream.read(&mut buffer).await?;
        line.extend(buffer.iter().take(read));
        if read == 0 || line.contains(&b'\n') {
            return Ok(serde_json::from_slice(&line)?);
        }
        if line.len() > limits::SEGMENT_NEWS_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio::task::JoinSet;

    use super::*;
    use crate::ops::systemd::Watched;

    struct Served(PathBuf, #[expect(dead_code, reason = "ends with it")] JoinSet<()>);

    impl Served {
        fn start(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("camlock-control-{name}-{}", std::process::id()));
            let listener = UnixListener::bind(&path).unwrap();
            let mut task = JoinSet::new();
            task.spawn(serve(listener, Watched::default().part("control"), |command| async {
                match command {
                    Command::Flush(_) => Reply::Records(7),
                    Command::Canary(result) => Reply::Ok(result.passed()),
                }
            }));
            Self(path, task)
        }

        async fn asked(&self, line: &[u8]) -> String {
            let mut stream = UnixStream::connect(&self.0).await.unwrap();
            stream.write_all(line).await.unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await.unwrap();
            reply
        }
    }

    impl Drop for Served {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).unwrap();
        }
    }

    #[tokio::test]
    async fn root_is_answered_in_one_line() {
        let served = Served::start("answers");
        if !rustix::process::geteuid().is_root() {
            assert_eq!(served.asked(b"{\"flush\":true}\n").await, "{\"error\":\"root only\"}\n");
            return;
        }
        assert_eq!(served.asked(b"{\"flush\":true}\n").await, "{\"records\":7}\n");
        let canary = b"{\"canary\":{\"at_ms\":1,\"tries\":30,\"escaped\":[],\"unseen\":[],\"failed_controls\":[]}}\n";
        assert_eq!(served.asked(canary).await, "{\"ok\":true}\n");
        for bad in [&b"{\"flush\":true,\"x\":1}\n"[..], b"\n", b"{\"stop\":true}\n", b"[[[[\n"] {
            let reply = served.asked(bad).await;
            assert!(reply.starts_with("{\"error\":\"no such command"), "{reply}");
        }
        let long = vec![b' '; limits::SEGMENT_NEWS_BYTES + 1];
        assert!(served.asked(&long).await.contains("error"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_is_left_in_time() {
        let served = Served::start("silent");
        let mut silent = UnixStream::connect(&served.0).await.unwrap();
        let begun = tokio::time::Instant::now();
        let mut reply = Vec::new();
        silent.read_to_end(&mut reply).await.unwrap();
        let root = rustix::process::geteuid().is_root();
        assert_eq!((begun.elapsed() >= limits::SEGMENT_ASK, reply.is_empty()), (root, root));
    }
}
