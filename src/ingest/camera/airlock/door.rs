//! The one-shot door on loopback through which the depacketiser comes in, and nobody else.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::ops::limits;

/// A listener that lets in one guest: who knows the token. It is in no log, and worthless once used.
pub(super) struct Door {
    listener: TcpListener,
    url: String,
}

/// Who came in.
pub(super) struct Guest {
    pub(super) stream: TcpStream,
    /// What was read to see the token.
    pub(super) bytes: BytesMut,
    /// How many wrong ones were turned away before.
    pub(super) intruders: u64,
}

impl Door {
    pub(super) fn open() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Inherited by what is accepted: the depacketiser's receive side cannot be set.
        socket.set_send_buffer_size(u32::try_from(limits::DOOR_SEND_BUFFER).unwrap_or(u32::MAX))?;
        // Nothing is congested within a process, and what is the system's default may pace: timers for nothing.
        // A system without it costs some more.
        socket2::SockRef::from(&socket).set_tcp_congestion(b"reno").ok();
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener = socket.listen(16)?;
        let address = listener.local_addr()?;
        let token = random_hex()?;
        Ok(Self { listener, url: format!("rtsp://{address}/{token}/") })
    }

    /// What every URL of the guest begins with.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the guest and closes the door behind it. Tokens are checked side by side, so that
    /// silent intruders delay nobody.
    pub(super) async fn admit(self) -> io::Result<Guest> {
        let deadline = Instant::now() + limits::DOOR_OPEN;
        let mut checks = FuturesUnordered::new();
        let mut intruders = 0_u64;
        timeout_at(deadline, async {
            loop {
                tokio::select! {
                    accepted = self.listener.accept(), if checks.len() < limits::DOOR_PENDING => {
                        checks.push(check(accepted?.0, &self.url));
                    }
                    Some(checked) = checks.next() => match checked {
                        Some((stream, bytes)) => return Ok(Guest { stream, bytes, intruders }),
                        None => intruders = intruders.saturating_add(1),
                    },
                }
            }
        })
        .await?
    }
}

/// 128 random bits.
pub(super) fn random_hex() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads the first request line. `None`: it does not name the door's URL.
async fn check(mut stream: TcpStream, url: &str) -> Option<(TcpStream, BytesMut)> {
    let mut bytes = BytesMut::with_capacity(limits::DOOR_HEAD_BYTES);
    let whole_line = async {
        while !bytes.contains(&b'\n') {
            let room = limits::DOOR_HEAD_BYTES.saturating_sub(bytes.len());
            let mut limited = bytes::BufMut::limit(&mut bytes, room);
            if room == 0 || stream.read_buf(&mut limited).await.ok()? == 0 {
                return None;
            }
        }
        Some(())
    };
    timeout(limits::DOOR_TIMEOUT, whole_line).await.ok()??;
    let uri = bytes.as_ref().split(|byte: &u8| *byte == b' ').nth(1)?;
    let named = uri.get(..url.len())?;
    if !bool::from(named.ct_eq(url.as_bytes())) {
        return None;
    }
    stream.set_nodelay(true).ok()?;
    Some((stream, bytes))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;

    use super::*;

    async fn knock(url: &str, says: &str) -> TcpStream {
        let address = url.trim_start_matches("rtsp://").split('/').next().unwrap();
        let address: SocketAddr = address.parse().unwrap();
        #[allow(clippy::disallowed_methods, reason = "a guest at our own door")]
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(says.as_bytes()).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn intruders_delay_nobody_and_do_not_use_the_shot() {
        let door = Door::open().unwrap();
        let url = door.url().to_owned();
        let wrong = url.replace(|c: char| c.is_ascii_lowercase(), "0");
        let mut intruders = Vec::new();
        for _ in 0..3 {
            intruders.push(knock(&url, "").await);
            intruders.push(knock(&url, &format!("DESCRIBE {wrong} RTSP/1.0\r\n")).await);
        }
        intruders.push(knock(&url, &"x".repeat(limits::DOOR_HEAD_BYTES)).await);
        intruders.push(knock(&url, "DESCRIBE\r\n\r\n").await);
        let mut guest = knock(&url, &format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n")).await;
        let admitted = door.admit().await.unwrap();
        assert!(admitted.intruders >= 4, "{}", admitted.intruders);
        assert_eq!(admitted.stream.peer_addr().unwrap(), guest.local_addr().unwrap());
        assert!(admitted.bytes.starts_with(b"DESCRIBE rtsp://127.0.0.1:"));
        let paced_by = socket2::SockRef::from(&admitted.stream).tcp_congestion().unwrap();
        assert!(paced_by.starts_with(b"reno\0"), "{paced_by:?}");
        // The door is shut behind it.
        let address: SocketAddr = guest.peer_addr().unwrap();
        #[allow(clippy::disallowed_methods, reason = "a guest at our own door")]
        let late = TcpStream::connect(address).await;
        assert!(late.is_err());
        guest.shutdown().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_comes() {
        let began = Instant::now();
        let failed = Door::open().unwrap().admit().await;
        assert_eq!(failed.err().unwrap().kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), limits::DOOR_OPEN.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn one_silent_stranger_too_many_holds_the_guest_up_until_they_are_turned_away() {
        for (strangers, waits) in
            [(limits::DOOR_PENDING - 1, 0), (limits::DOOR_PENDING, limits::DOOR_TIMEOUT.as_secs())]
        {
            let door = Door::open().unwrap();
            let url = door.url().to_owned();
            let mut silent = Vec::new();
            for _ in 0..strangers {
                silent.push(knock(&url, "").await);
            }
            let guest = knock(&url, &format!("DESCRIBE {url} RTSP/1.0\r\n")).await;
            let began = Instant::now();
            let admitted = door.admit().await.unwrap();
            assert_eq!(admitted.stream.peer_addr().unwrap(), guest.local_addr().unwrap());
            assert_eq!(began.elapsed().as_secs(), waits, "{strangers} strangers");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_line_one_byte_over_is_not_read() {
        let door = Door::open().unwrap();
        let url = door.url().to_owned();
        let line = |bytes: usize| {
            let line = format!("DESCRIBE {url} RTSP/1.0");
            format!("{line:<width$}\n", width = bytes - 1)
        };
        let _over = knock(&url, &line(limits::DOOR_HEAD_BYTES + 1)).await;
        let guest = knock(&url, &line(limits::DOOR_HEAD_BYTES)).await;
        let admitted = door.admit().await.unwrap();
        assert_eq!(admitted.stream.peer_addr().unwrap(), guest.local_addr().unwrap());
        assert_eq!(admitted.bytes.len(), limits::DOOR_HEAD_BYTES);
    }
}
