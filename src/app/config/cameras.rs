//! `[[camera]]` and its profiles.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::gateway::{RING_MIB, bytes, mebibytes};
use super::reader::{At, Table, socket_addr};
use super::secret;
use super::{Reading, camera_tls};
use crate::hub;
use crate::ingest::camera::{BasicPolicy, CameraSettings, Login, ProfileSettings, StartMode};
use crate::ingest::segment;
use crate::media::StreamName;
use crate::ops::limits;

#[derive(Clone, Copy)]
enum Start {
    Always,
    OnDemand,
}

/// The cameras, and the address list they make.
pub(super) fn read(
    root: &mut Table<'_, '_>,
    rings: &hub::Settings,
    segment: &segment::Mode,
    reading: &mut Reading<'_>,
) -> (Vec<CameraSettings>, BTreeMap<String, SocketAddr>) {
    let mut cameras = Vec::new();
    let mut addresses = BTreeMap::new();
    let mut names = BTreeSet::new();
    for mut table in root.tables("camera", &mut reading.faults) {
        let name =
            table.required("name", "give the camera a name of a-z 0-9 - _", &mut reading.faults);
        let address = table.required(
            "address",
            "write the camera's IP address and port, such as \"192.0.2.10:554\"",
            &mut reading.faults,
        );
        let address = address.and_then(|at| camera_address(&at, segment, reading));
        let login = login(&mut table, reading);
        let basic = table.choice(
            "basic",
            &[("refuse", BasicPolicy::Refuse), ("allow", BasicPolicy::Allow)],
            BasicPolicy::Refuse,
            &mut reading.faults,
        );
        let tls = camera_tls::read(&mut table, reading);
        let profiles = profiles(&mut table, name.as_ref(), rings, reading);
        table.finish(&mut reading.faults);
        let Some(name) = name else { continue };
        if !names.insert(name.value.clone()) {
            reading
                .faults
                .add(name.span.clone(), format!("camera.name: {:?} is given twice", name.value));
        }
        let Some(address) = address else { continue };
        addresses.insert(name.value.clone(), address);
        cameras.push(CameraSettings { name: name.value, login, basic, tls, profiles });
    }
    if cameras.len() > limits::CAMERAS {
        reading.faults.add(
            root.span(),
            format!("{} cameras; at most {} are allowed", cameras.len(), limits::CAMERAS),
        );
    }
    let streams: usize = cameras.iter().map(|camera| camera.profiles.len()).sum();
    if streams > limits::STREAMS {
        reading.faults.add(
            root.span(),
            format!("{streams} camera profiles; at most {} are allowed", limits::STREAMS),
        );
    }
    (cameras, addresses)
}

fn camera_address(
    at: &At<String>,
    segment: &segment::Mode,
    reading: &mut Reading<'_>,
) -> Option<SocketAddr> {
    let address = socket_addr("camera.address", at, "192.0.2.10:554", &mut reading.faults)?;
    match segment::check(address) {
        Ok(SocketAddr::V6(address)) if *segment != segment::Mode::Own => {
            let message = format!("camera.address: {address}: a camera segment is IPv4 only");
            reading.faults.add(at.span.clone(), message);
            None
        }
        Ok(address) => Some(address),
        Err(error) => {
            reading.faults.add(at.span.clone(), format!("camera.address: {address} {error}"));
            None
        }
    }
}

fn login(table: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> Option<Login> {
    let user = table.string("user", &mut reading.faults);
    let password = table.string("password", &mut reading.faults);
    match (user, password) {
        (None, None) => None,
        (Some(user), Some(at)) => {
            let password = secret::resolve(
                "camera.password",
                &at,
                reading.surroundings,
                &mut reading.faults,
                &mut reading.warnings,
            )?;
            Some(Login { user: user.value, password })
        }
        (Some(at), None) => {
            reading
                .faults
                .add(at.span, "camera.user is given without camera.password; give both or neither");
            None
        }
        (None, Some(at)) => {
            reading
                .faults
                .add(at.span, "camera.password is given without camera.user; give both or neither");
            None
        }
    }
}

fn profiles(
    table: &mut Table<'_, '_>,
    camera: Option<&At<String>>,
    rings: &hub::Settings,
    reading: &mut Reading<'_>,
) -> Vec<ProfileSettings> {
    let mut profiles = Vec::new();
    let mut names = BTreeSet::new();
    let tables = table.tables("profile", &mut reading.faults);
    if tables.is_empty() {
        reading
            .faults
            .add(table.span(), "camera has no [[camera.profile]]; give it one, with name and path");
    }
    if tables.len() > limits::PROFILES {
        let many = tables.len();
        let message =
            format!("camera has {many} profiles; at most {} are allowed", limits::PROFILES);
        reading.faults.add(table.span(), message);
    }
    for mut profile in tables {
        let name = profile.required("name", "such as \"main\"", &mut reading.faults);
        let path = profile.required(
            "path",
            "the RTSP path of the stream, such as \"/Streaming/Channels/101\"",
            &mut reading.faults,
        );
        let start = start(&mut profile, reading);
        let ring_bytes = ring(&mut profile, rings, reading);
        profile.finish(&mut reading.faults);
        let (Some(name), Some(path)) = (name, path) else { continue };
        let path = checked_path(&path, reading);
        if !names.insert(name.value.clone()) {
            reading.faults.add(
                name.span.clone(),
                format!("camera.profile.name: {:?} is given twice", name.value),
            );
        }
        let Some(camera) = camera else { continue };
        match StreamName::parse(&format!("{}/{}", camera.value, name.value)) {
            Ok(stream) => {
                if let Some(path) = path {
                    profiles.push(ProfileSettings { stream, path, start, ring_bytes });
                }
            }
            Err(error) => reading.faults.add(
                name.span,
                format!("the stream would be called \"{}/{}\": {error}", camera.value, name.value),
            ),
        }
    }
    profiles
}

fn start(profile: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> StartMode {
    let mode = profile.choice(
        "start",
        &[("always", Start::Always), ("on-demand", Start::OnDemand)],
        Start::Always,
        &mut reading.faults,
    );
    let range = Duration::ZERO..Duration::from_secs(3600);
    let linger = profile.duration("linger", range, Duration::from_secs(10), &mut reading.faults);
    match mode {
        Start::Always => StartMode::Always,
        Start::OnDemand => StartMode::OnDemand { linger },
    }
}

/// The memory of one stream's ring, if it is not to be that of the others.
fn ring(
    profile: &mut Table<'_, '_>,
    rings: &hub::Settings,
    reading: &mut Reading<'_>,
) -> Option<usize> {
    if !profile.has("ring_mib") {
        return None;
    }
    let (own, all) = (mebibytes(rings.ring_bytes), mebibytes(rings.rings_bytes));
    let range = 1..all.min(RING_MIB) + 1;
    Some(bytes(profile.mebibytes("ring_mib", range, own, &mut reading.faults)))
}

/// The path goes into a request line as it stands.
fn checked_path(at: &At<String>, reading: &mut Reading<'_>) -> Option<String> {
    let fits = at.value.starts_with('/')
        && at.value.len() <= limits::RTSP_URI_BYTES / 2
        && at.value.bytes().all(|b| b.is_ascii_graphic());
    if !fits {
        reading.faults.add(
            at.span.clone(),
            format!(
                "camera.profile.path: must begin with `/`, hold printable ASCII without spaces, and at most {} bytes; host and login go into camera.address and camera.user",
                limits::RTSP_URI_BYTES / 2
            ),
        );
    }
    fits.then(|| at.value.clone())
}
