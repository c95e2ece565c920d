//! The vendors' paths, from `config/vendors.toml`.

use clap::ValueEnum;
use serde::Deserialize;

/// Where the devices of a vendor keep their streams.
const VENDORS: &str = include_str!("../../../../config/vendors.toml");

/// Most channels that a recorder has.
pub(super) const CHANNELS: u16 = 512;

/// RTSP's own port.
pub(super) const PORT: u16 = 554;

/// A vendor whose paths are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Vendor {
    /// Hikvision.
    Hikvision,
    /// Dahua.
    Dahua,
    /// Axis.
    Axis,
    /// Reolink.
    Reolink,
    /// Uniview.
    Uniview,
    /// Hanwha Vision.
    Hanwha,
    /// TP-Link Tapo.
    Tapo,
}

/// Which of a channel's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stream {
    /// The large pictures.
    #[default]
    Main,
    /// The small pictures.
    Sub,
}

/// What stands at the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Device {
    /// A camera.
    Camera,
    /// A recorder with cameras behind it.
    Recorder,
}

/// A path filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilledPath {
    pub(super) path: String,
    pub(super) port: u16,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    vendor: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    option: Vendor,
    name: String,
    #[allow(dead_code, reason = "for the reader of the file; its presence is checked")]
    source: String,
    template: Vec<Template>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    device: Device,
    stream: Stream,
    path: String,
    #[serde(default = "rtsp_port")]
    port: u16,
}

fn rtsp_port() -> u16 {
    PORT
}

/// Path and port of a channel's stream.
pub(super) fn place(
    vendor: Vendor,
    device: Device,
    channel: u16,
    stream: Stream,
) -> Result<FilledPath, String> {
    let file: File = toml::from_str(VENDORS).map_err(|e| format!("config/vendors.toml: {e}"))?;
    let entry = file.vendor.into_iter().find(|entry| entry.option == vendor);
    let entry = entry.ok_or("config/vendors.toml does not have this vendor")?;
    let found = entry.template.iter().find(|t| t.device == device && t.stream == stream);
    let Some(template) = found else {
        return Err(format!(
            "{} documents no path for the {} of a {}: give the whole URL",
            entry.name,
            match stream {
                Stream::Main => "main stream",
                Stream::Sub => "sub stream",
            },
            match device {
                Device::Camera => "camera",
                Device::Recorder => "recorder",
            }
        ));
    };
    if !template.path.contains('{') && channel != 1 {
        return Err(format!(
            "cameras of {} have one channel; did you mean --recorder?",
            entry.name
        ));
    }
    let path = template
        .path
        .replace("{channel}", &channel.to_string())
        .replace("{channel-1}", &channel.saturating_sub(1).to_string())
        .replace("{channel:02}", &format!("{channel:02}"));
    Ok(FilledPath { path, port: template.port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole() {
        let file: File = toml::from_str(VENDORS).unwrap();
        assert_eq!(file.vendor.len(), 7);
        for (n, entry) in file.vendor.iter().enumerate() {
            assert!(!entry.name.is_empty() && !entry.source.is_empty(), "{}", entry.name);
            assert!(file.vendor[..n].iter().all(|other| other.option != entry.option));
            for (n, t) in entry.template.iter().enumerate() {
                let (path, same) =
                    (&t.path, |o: &Template| (o.device, o.stream) == (t.device, t.stream));
                assert!(!entry.template[..n].iter().any(same), "{path} twice");
                for channel in [1, 12, CHANNELS] {
                    let Ok(place) = place(entry.option, t.device, channel, t.stream) else {
                        assert!(channel > 1 && !path.contains('{'), "{path}");
                        continue;
                    };
                    let path = place.path;
                    assert!(path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic()));
                    assert!(!path.contains(['{', '}', '@']) && place.port > 0, "{path}");
                }
            }
        }
    }

    #[test]
    fn channels_and_streams_stand_where_the_vendor_says() {
        for (vendor, device, channel, stream, expected) in [
            (Vendor::Hikvision, Device::Camera, 1, Stream::Main, "/Streaming/Channels/101"),
            (Vendor::Hikvision, Device::Recorder, 12, Stream::Sub, "/Streaming/Channels/1202"),
            (
                Vendor::Dahua,
                Device::Recorder,
                3,
                Stream::Sub,
                "/cam/realmonitor?channel=3&subtype=1",
            ),
            (Vendor::Axis, Device::Camera, 2, Stream::Main, "/axis-media/media.amp?camera=2"),
            (Vendor::Reolink, Device::Recorder, 7, Stream::Main, "/Preview_07_main"),
            (Vendor::Uniview, Device::Camera, 1, Stream::Sub, "/media/video2"),
            (Vendor::Uniview, Device::Recorder, 4, Stream::Main, "/unicast/c4/s0/live"),
            (Vendor::Hanwha, Device::Recorder, 1, Stream::Main, "/LiveChannel/0/media.smp"),
            (Vendor::Tapo, Device::Camera, 1, Stream::Main, "/stream1"),
        ] {
            assert_eq!(place(vendor, device, channel, stream).unwrap().path, expected);
        }
        assert_eq!(place(Vendor::Hanwha, Device::Recorder, 1, Stream::Main).unwrap().port, 558);
        for (vendor, device, channel, stream) in [
            (Vendor::Tapo, Device::Camera, 2, Stream::Main),
            (Vendor::Tapo, Device::Recorder, 1, Stream::Main),
            (Vendor::Hanwha, Device::Camera, 1, Stream::Sub),
        ] {
            assert!(place(vendor, device, channel, stream).is_err(), "{vendor:?}");
        }
    }
}
