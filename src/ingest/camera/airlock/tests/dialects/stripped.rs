//! What of a transcript the depacketiser does not get to see, by name.

use std::collections::BTreeMap;

use bytes::BytesMut;

use super::peer::{Script, Slot};
use crate::ingest::camera::airlock::rewrite::Rewriter;
use crate::ingest::camera::airlock::tests::request;
use crate::ingest::camera::airlock::{EndReason, LoginMemory};
use crate::wire::rtsp::{Decoder, Item};

const DOOR: &str = "rtsp://127.0.0.1:1/0123456789abcdef0123456789abcdef/";

/// The names in `transcript` (headers, their parameters, lines, attributes and format parameters of the session
/// description) that are not in what the airlock makes of the session.
pub(super) fn stripped(transcript: &str, script: &Script) -> Vec<String> {
    let heard = names(&heard(script));
    let names = names(transcript).into_iter();
    names.filter(|(name, _)| !heard.contains_key(name)).map(|(_, shown)| shown).collect()
}

/// All the text that the depacketiser gets, up to the first refusal.
fn heard(script: &Script) -> String {
    let mut bench = Bench::new(script);
    // A refusal ends the session; what was heard before it counts.
    let _ended = bench.run().is_err();
    String::from_utf8(bench.rewriter.for_consumer().split().to_vec()).unwrap()
}

/// The re-writer without sockets, between a depacketiser that asks for all and a script.
struct Bench<'a> {
    script: &'a Script,
    rewriter: Rewriter,
    now: std::time::Instant,
    slots: Vec<Slot>,
    asked: u32,
}

impl<'a> Bench<'a> {
    fn new(script: &'a Script) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let made = Rewriter::new(&request(), LoginMemory::Nothing, DOOR.into(), "c".into(), now);
        Self { script, rewriter: made.unwrap(), now, slots: Vec::new(), asked: 0 }
    }

    fn run(&mut self) -> Result<(), EndReason> {
        self.ask("DESCRIBE", "", "")?;
        for n in 0..self.rewriter.presented().len() {
            let channels = format!("{}-{}", 2 * n, 2 * n + 1);
            let transport = format!("Transport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n");
            self.ask("SETUP", &n.to_string(), &transport)?;
        }
        self.ask("PLAY", "", "")
    }

    fn ask(&mut self, method: &str, place: &str, headers: &str) -> Result<(), EndReason> {
        self.asked += 1;
        let text =
            format!("{method} {DOOR}{place} RTSP/1.0\r\nCSeq: {}\r\n{headers}\r\n", self.asked);
        self.rewriter.consumer_bytes(&mut BytesMut::from(text.as_bytes()), self.now)?;
        loop {
            let mut wire = BytesMut::from(&self.rewriter.take_for_camera()[..]);
            let Ok(Some(Item::Request(asked))) = Decoder::new().decode(&mut wire) else {
                return Ok(());
            };
            let answer = self.script.answer(&asked, &mut self.slots);
            let mut bytes = BytesMut::from(answer.as_bytes());
            self.rewriter.camera_bytes(&mut bytes, answer.len(), self.now)?;
        }
    }
}

/// Names by their lower case.
fn names(text: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for line in text.lines() {
        match line.split_once([':', '=']) {
            Some((kind, _)) if kind.len() == 1 => description_line(line, &mut names),
            // Notes of those who collected the transcripts.
            Some(("x-notes" | "Notes", _)) | None => {}
            Some((header, value)) => {
                add(&mut names, header);
                if ["transport", "rtp-info", "session"].contains(&&*header.to_lowercase()) {
                    let parameters = value.split([';', ',']).skip(1);
                    parameters.for_each(|p| add(&mut names, &format!("{header} {}", key(p))));
                }
            }
        }
    }
    names
}

fn description_line(line: &str, names: &mut BTreeMap<String, String>) {
    let Some(attribute) = line.strip_prefix("a=") else {
        return add(names, &line[..2]);
    };
    match attribute.split_once(':') {
        Some(("fmtp", value)) => {
            let parameters = value.split_once(' ').map_or("", |(_, parameters)| parameters);
            let keys = parameters.split(';').map(key).filter(|key| !key.is_empty());
            keys.for_each(|key| add(names, &format!("fmtp {key}")));
        }
        Some((name, _)) => add(names, &format!("a={name}")),
        None => add(names, line),
    }
}

fn key(parameter: &str) -> &str {
    parameter.split_once('=').map_or(parameter, |(key, _)| key).trim()
}

fn add(names: &mut BTreeMap<String, String>, name: &str) {
    names.entry(name.trim().to_lowercase()).or_insert_with(|| name.trim().to_owned());
}
