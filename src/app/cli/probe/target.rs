//! Which camera: a URL with an IP address, or a vendor's device. What is refused is never quoted, for it may
//! hold a password.

use std::net::{IpAddr, SocketAddr};

use super::vendors::{self, Device, Stream, Vendor};
use crate::ingest::segment;
use crate::ops::limits;

/// Port of `rtsps`, as registered.
const PORT_TLS: u16 = 322;

/// Address and path of a camera's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) path: String,
    /// RTSP over TLS.
    pub(super) tls: bool,
}

impl Target {
    /// From `rtsp://IP[:PORT]/path` or `rtsps://...`.
    pub(super) fn from_url(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let tls = scheme.eq_ignore_ascii_case("rtsps");
        if !tls && !scheme.eq_ignore_ascii_case("rtsp") {
            return Err("the URL must begin with rtsp:// or rtsps://".to_owned());
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        // A password with a `/` in it would stand in what looks like the path.
        if authority.contains('@') || path.split('?').next().is_some_and(|p| p.contains('@')) {
            return Err("the URL contains credentials: they are visible in the process list and in the shell's history; give --user and --password-ref file:/path or env:NAME"
                .to_owned());
        }
        let path = if path.is_empty() { "/" } else { path };
        let port = if tls { PORT_TLS } else { vendors::PORT };
        Self::new(address(authority, port)?, path.to_owned(), tls)
    }

    /// From a vendor's documented paths; `host` is `IP[:PORT]`.
    pub(super) fn from_vendor(
        vendor: Vendor,
        host: &str,
        device: Device,
        channel: u16,
        stream: Stream,
    ) -> Result<Self, String> {
        let place = vendors::place(vendor, device, channel, stream)?;
        Self::new(address(host, place.port)?, place.path, false)
    }

    fn new(address: SocketAddr, path: String, tls: bool) -> Result<Self, String> {
        let longest = limits::RTSP_URI_BYTES / 2;
        let fits = path.starts_with('/')
            && path.len() <= longest
            && path.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            return Err(format!(
                "the path must begin with `/` and contain at most {longest} bytes of printable ASCII without spaces"
            ));
        }
        let address = segment::check(address).map_err(|why| format!("{address} {why}"))?;
        Ok(Self { address, path, tls })
    }
}

fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    text.parse().or_else(|_| bare.parse().map(|ip: IpAddr| SocketAddr::from((ip, port)))).map_err(
        |_| {
            "the camera must be given by its IP address, such as 192.0.2.10 or 192.0.2.10:554: a spoofed DNS answer could send the gateway, and the password, to another machine"
                .to_owned()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_path_come_out() {
        for (url, address, path) in [
            ("rtsp://192.0.2.1/a", "192.0.2.1:554", "/a"),
            ("RTSP://192.0.2.1:8554/a?b=c@d", "192.0.2.1:8554", "/a?b=c@d"),
            ("rtsp://192.0.2.1", "192.0.2.1:554", "/"),
            ("rtsps://192.0.2.1/a", "192.0.2.1:322", "/a"),
            ("RTSPS://[2001:db8::1]:7441/a", "[2001:db8::1]:7441", "/a"),
            ("rtsp://[2001:db8::1]/x", "[2001:db8::1]:554", "/x"),
            ("rtsp://[2001:db8::1]:5554/x", "[2001:db8::1]:5554", "/x"),
        ] {
            let target = Target::from_url(url).unwrap();
            assert_eq!(target.tls, url.to_ascii_lowercase().starts_with("rtsps:"), "{url}");
            assert_eq!((target.address, &*target.path), (address.parse().unwrap(), path), "{url}");
        }
        let nvr =
            Target::from_vendor(Vendor::Hikvision, "192.0.2.9", Device::Recorder, 5, Stream::Sub);
        assert_eq!(nvr.unwrap().path, "/Streaming/Channels/502");
    }

    #[test]
    fn names_accounts_and_the_rest_are_refused_and_not_quoted() {
        for (url, why) in [
            ("http://192.0.2.1/a", "rtsp://"),
            ("192.0.2.1/a", "rtsp://"),
            ("rtsp://planted.example/a", "IP address"),
            ("rtsp://planted:planted@192.0.2.1/a", "--user"),
            ("rtsp://u:planted/planted@192.0.2.1/a", "--user"),
            ("rtsp://0x7f.1/a", "IP address"),
            ("rtsp://224.0.0.1/a", "multicast"),
            ("rtsp://192.0.2.1:0/a", "port"),
            ("rtsp://192.0.2.1/a b", "ASCII"),
            ("rtsp://192.0.2.1?a", "begin with `/`"),
        ] {
            let said = Target::from_url(url).unwrap_err();
            assert!(said.contains(why) && !said.contains("planted"), "{url}: {said}");
        }
        let long = format!("rtsp://192.0.2.1/{}", "a".repeat(limits::RTSP_URI_BYTES / 2));
        assert!(Target::from_url(&long).is_err());
    }
}
