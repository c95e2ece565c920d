//! DNS over one TCP connection (RFC 1035 4.2.2): questions and answers behind their lengths.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ops::limits;

/// Answers up to [`limits::DNS_CONNECTION_QUESTIONS`] within [`limits::DNS_CONNECTION`]. `answer` says `None` to end
/// it: a question without an answer, or one too many.
pub(in crate::segment::service::local) async fn serve(
    mut stream: TcpStream,
    answer: impl Fn(&[u8]) -> Option<Vec<u8>>,
) {
    let talk = async {
        for _ in 0..limits::DNS_CONNECTION_QUESTIONS {
            let Some(question) = read(&mut stream).await? else { break };
            let Some(answer) = answer(&question) else { break };
            write(&mut stream, &answer).await?;
        }
        io::Result::Ok(())
    };
    // Too late or broken off: who asks comes again.
    drop(timeout(limits::DNS_CONNECTION, talk).await);
}

/// `None`: longer than any question.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let length = usize::from(stream.read_u16().await?);
    if length > limits::DNS_QUESTION_BYTES {
        return Ok(None);
    }
    let mut question = vec![0; length];
    stream.read_exact(&mut question).await?;
    Ok(Some(question))
}

/// In one write: some clients take the first segment for the whole.
async fn write(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    let length = u16::try_from(answer.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    let framed = [length.to_be_bytes().as_slice(), answer].concat();
    stream.write_all(&framed).await
}
