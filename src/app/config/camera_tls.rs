//! How a camera is known over TLS: `camera.tls` and `camera.tls_name`.

use std::path::Path;

use super::Reading;
use super::reader::{At, Table};
use crate::trust::tls::client::{Authority, BadAuthority, Trust};

const ALLOWED: &str = "use \"sha256:FINGERPRINT\" (as `openssl x509 -noout -fingerprint -sha256` or `camlock probe` print it), \
                       \"ca:/path/to/ca.pem\" or \"first-use\"; leave it out for plain RTSP";

/// `None`: plain RTSP, or a fault was noted.
pub(super) fn read(table: &mut Table<'_, '_>, reading: &mut Reading<'_>) -> Option<Trust> {
    let tls = table.string("tls", &mut reading.faults);
    let name = table.string("tls_name", &mut reading.faults);
    let trust = tls.as_ref().map(|at| match at.value.split_once(':') {
        Some(("sha256", print)) => Kind::Pinned(print),
        Some(("ca", file)) => Kind::Authority(file),
        None if at.value == "first-use" => Kind::FirstUse,
        Some(_) | None => Kind::Unknown,
    });
    if let Some(name) = &name
        && !matches!(trust, Some(Kind::Authority(_)))
    {
        let message =
            "camera.tls_name is only for camera.tls = \"ca:...\": a fingerprint needs no name";
        reading.faults.add(name.span.clone(), message);
    }
    let at = tls.as_ref()?;
    match trust? {
        Kind::FirstUse => Some(Trust::FirstUse),
        Kind::Pinned(print) => match print.parse() {
            Ok(print) => Some(Trust::Pinned(print)),
            Err(error) => {
                let message = format!("camera.tls: the fingerprint {error}; {ALLOWED}");
                reading.faults.add(at.span.clone(), message);
                None
            }
        },
        Kind::Authority(file) => authority(file, at, name.as_ref(), reading),
        Kind::Unknown => {
            let message = format!("camera.tls: {:?} is not allowed; {ALLOWED}", at.value);
            reading.faults.add(at.span.clone(), message);
            None
        }
    }
}

enum Kind<'a> {
    Pinned(&'a str),
    Authority(&'a str),
    FirstUse,
    Unknown,
}

fn authority(
    file: &str,
    at: &At<String>,
    name: Option<&At<String>>,
    reading: &mut Reading<'_>,
) -> Option<Trust> {
    let pem = match (reading.surroundings.read_file)(Path::new(file)) {
        Ok(pem) => pem,
        Err(error) => {
            reading.faults.add(at.span.clone(), format!("camera.tls: {file}: {error}"));
            return None;
        }
    };
    match Authority::from_pem(&pem, name.map(|name| name.value.as_str())) {
        Ok(authority) => Some(Trust::Authority(authority)),
        Err(error @ BadAuthority::Name) => {
            let span = name.map_or_else(|| at.span.clone(), |name| name.span.clone());
            reading.faults.add(span, format!("camera.tls_name: {error}"));
            None
        }
        Err(error) => {
            let message =
                format!("camera.tls: {file} {error}; it must be a PEM file of CA certificates");
            reading.faults.add(at.span.clone(), message);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::super::{Loaded, Surroundings, load};
    use super::*;

    const PRINT: &str = "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";

    /// What an entry with these lines says, or its faults, each with place and message.
    fn trust(lines: &str) -> Result<Option<Trust>, Vec<String>> {
        let ca = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::CertificateParams::new([]).unwrap().self_signed(&ca).unwrap().pem();
        let read_file = |path: &Path| match path.to_str() {
            Some("/ca.pem") => Ok(ca.clone().into_bytes()),
            Some("/empty.pem") => Ok(Vec::new()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let text = format!(
            "[gateway]\nnames = [\"g\"]\n[[camera]]\nname = \"door\"\naddress = \"192.0.2.1:322\"\n{lines}\n\
             [[camera.profile]]\nname = \"main\"\npath = \"/\"\n"
        );
        let surroundings = Surroundings { read_file: &read_file, env: &|_| None };
        match load("x", &text, surroundings) {
            Ok(Loaded { mut settings, .. }) => Ok(settings.cameras.remove(0).tls),
            Err(faults) => Err(faults
                .faults
                .into_iter()
                .map(|fault| format!("{}:{} {}", fault.line, fault.column, fault.message))
                .collect()),
        }
    }

    #[test]
    fn three_ways_to_know_a_camera() {
        assert_eq!(trust(""), Ok(None));
        assert_eq!(trust("tls = \"first-use\""), Ok(Some(Trust::FirstUse)));
        let pin = Trust::Pinned(PRINT.parse().unwrap());
        assert_eq!(trust(&format!("tls = \"sha256:{PRINT}\"")), Ok(Some(pin.clone())));
        let plain = PRINT.replace(':', "").to_lowercase();
        assert_eq!(trust(&format!("tls = \"sha256:{plain}\"")), Ok(Some(pin)));
        for name in ["", "\ntls_name = \"door.example\""] {
            let told = trust(&format!("tls = \"ca:/ca.pem\"{name}"));
            assert!(matches!(told, Ok(Some(Trust::Authority(_)))), "{told:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_what_is_allowed() {
        for (lines, said) in [
            ("tls = true", "6:7 camera.tls: must be a string"),
            ("tls = \"yes\"", "6:7 camera.tls: \"yes\" is not allowed; use \"sha256:FINGERPRINT\""),
            ("tls = \"sha1:00\"", "6:7 camera.tls: \"sha1:00\" is not allowed"),
            (
                "tls = \"sha256:00\"",
                "6:7 camera.tls: the fingerprint must be 64 hexadecimal digits",
            ),
            ("tls = \"ca:/nowhere\"", "6:7 camera.tls: /nowhere: "),
            ("tls = \"ca:/empty.pem\"", "6:7 camera.tls: /empty.pem holds no certificate"),
            ("tls = \"ca:/ca.pem\"\ntls_name = \"a b\"", "7:12 camera.tls_name: "),
            ("tls = \"first-use\"\ntls_name = \"a\"", "7:12 camera.tls_name is only for"),
            ("tls_name = \"a\"", "6:12 camera.tls_name is only for"),
        ] {
            let faults = trust(lines).unwrap_err();
            assert!(faults.len() == 1 && faults[0].starts_with(said), "{lines}: {faults:?}");
        }
    }
}
