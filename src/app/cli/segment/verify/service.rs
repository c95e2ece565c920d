//! Asking the segment's service over its control socket.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::ops::limits;
use crate::segment::{CanaryResult, Place};

/// Has the ledger written down to the disk.
pub(super) fn flush(place: &Place) -> Result<(), String> {
    let reply = ask(place, &json!({ "flush": true }))?;
    match reply.get("records").and_then(Value::as_u64) {
        Some(_) => Ok(()),
        None => Err(refused(&reply)),
    }
}

/// Puts the result into the ledger and tells the gateway.
pub(super) fn tell(place: &Place, result: &CanaryResult) -> Result<(), String> {
    let reply = ask(place, &json!({ "canary": result }))?;
    if reply.get("error").is_some() { Err(refused(&reply)) } else { Ok(()) }
}

fn ask(place: &Place, request: &Value) -> Result<Value, String> {
    let path = place.control();
    let name = path.display();
    let exchange = || -> io::Result<String> {
        let mut stream = UnixStream::connect(&path)?;
        stream.set_write_timeout(Some(limits::SEGMENT_CONTROL))?;
        stream.set_read_timeout(Some(limits::SEGMENT_CONTROL))?;
        stream.write_all(format!("{request}\n").as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut reply = String::new();
        stream.take(limits::SEGMENT_CONTROL_BYTES).read_to_string(&mut reply)?;
        Ok(reply)
    };
    let reply =
        exchange().map_err(|error| format!("{name}: {error}; is the segment's service up?"))?;
    serde_json::from_str(reply.trim()).map_err(|_| format!("{name}: no answer that makes sense"))
}

fn refused(reply: &Value) -> String {
    let why: String = reply.to_string().chars().filter(|c| !c.is_control()).take(200).collect();
    format!("it answers {why}")
}
