//! `camlock probe`: a look at one camera, and its entry for the configuration.

mod report;
mod target;
mod vendors;
mod words;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Exit, block_on, check, output};
use crate::app::config;
use crate::ingest::camera::probe::{self, Probed, Settings};
use crate::ingest::camera::{BasicPolicy, Login};
use crate::ingest::segment::Mode;
use crate::media::StreamName;
use crate::ops::limits;
use crate::trust::tls::Fingerprint;
use crate::trust::tls::client::{Authority, Trust};

use report::{Entry, ProbeReport};
use target::Target;
use vendors::{Device, Stream, Vendor};

/// Options of `probe`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    which: Which,
    /// Channel of a recorder, or of a camera with several lenses.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "url",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(vendors::CHANNELS)))]
    channel: u16,
    /// Which stream of the channel.
    #[arg(long, value_enum, default_value_t = Stream::Main, conflicts_with = "url")]
    stream: Stream,
    /// The address is a recorder's (NVR, DVR).
    #[arg(long, conflicts_with = "url")]
    recorder: bool,
    /// The camera's account.
    #[arg(long, requires = "password_ref")]
    user: Option<String>,
    /// Where its password is: file:/path, env:NAME or credential:NAME.
    #[arg(long, value_name = "REF", requires = "user")]
    password_ref: Option<String>,
    /// Send the password readable if the camera offers nothing better than Basic.
    #[arg(long)]
    allow_basic: bool,
    /// With rtsps://: take the camera only if its certificate has this SHA-256 fingerprint.
    #[arg(long, value_name = "SHA256", requires = "url", conflicts_with = "tls_ca")]
    tls_pin: Option<Fingerprint>,
    /// With rtsps://: take the camera only if a CA of this PEM file vouches for it.
    #[arg(long, value_name = "FILE", requires = "url")]
    tls_ca: Option<PathBuf>,
    /// The DNS name in the camera's certificate, in place of its IP address.
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    tls_name: Option<String>,
    /// How long to watch.
    #[arg(long, value_name = "N", default_value_t = 6,
          value_parser = clap::value_parser!(u64).range(1..=limits::PROBE_WATCH.as_secs()))]
    seconds: u64,
    /// The camera is on the segment whose service has its sockets in this directory, such as
    /// /run/camlock-segment; --name is its name in the segment file.
    #[arg(long, value_name = "DIR")]
    segment: Option<PathBuf>,
    /// Name of the camera in the printed entry.
    #[arg(long, default_value = "camera")]
    name: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// The camera: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// rtsp://IP:PORT/path or rtsps://IP:PORT/path, with an IP address and without an account.
    url: Option<String>,
    /// A Hikvision at this IP, or IP:PORT.
    #[arg(long, value_name = "HOST")]
    hikvision: Option<String>,
    /// A Dahua.
    #[arg(long, value_name = "HOST")]
    dahua: Option<String>,
    /// An Axis.
    #[arg(long, value_name = "HOST")]
    axis: Option<String>,
    /// A Reolink.
    #[arg(long, value_name = "HOST")]
    reolink: Option<String>,
    /// A Uniview.
    #[arg(long, value_name = "HOST")]
    uniview: Option<String>,
    /// A Hanwha Vision (Wisenet).
    #[arg(long, value_name = "HOST")]
    hanwha: Option<String>,
    /// A TP-Link Tapo.
    #[arg(long, value_name = "HOST")]
    tapo: Option<String>,
}

pub(super) fn run(options: &Options) -> Exit {
    let prepared = match Prepared::new(options) {
        Ok(prepared) => prepared,
        Err(why) => return fail(options, "command_line", &why),
    };
    block_on(async {
        match probe::probe(&prepared.settings).await {
            Ok(probed) => prepared.print(options, &probed),
            Err(failed) => fail(options, failed.label(), &failed.to_string()),
        }
    })
}

/// A checked command line.
struct Prepared {
    target: Target,
    settings: Settings,
}

impl Prepared {
    fn new(options: &Options) -> Result<Self, String> {
        let target = options.target()?;
        StreamName::parse(&options.stream_name()).map_err(|why| format!("--name: {why}"))?;
        let settings = Settings {
            name: options.name.clone(),
            segment: match &options.segment {
                Some(run_dir) => Mode::Remote { run_dir: run_dir.clone() },
                None => Mode::Own,
            },
            address: target.address,
            path: target.path.clone(),
            login: options.login()?,
            basic: if options.allow_basic { BasicPolicy::Allow } else { BasicPolicy::Refuse },
            tls: options.trust(target.tls)?,
            watch: Duration::from_secs(options.seconds),
        };
        Ok(Self { target, settings })
    }

    fn print(&self, options: &Options, probed: &Probed) -> Exit {
        let entry = Entry {
            camera: &options.name,
            profile: options.profile(),
            address: self.target.address,
            path: &self.target.path,
            tls: options.tls_lines(probed.peer.map(|peer| peer.fingerprint)),
            account: options.user.as_deref().zip(options.password_ref.as_deref()),
        };
        let report = ProbeReport { entry, probed };
        if options.json {
            output::line(&report.json().to_string());
        } else {
            output::line(report.text().trim_end());
        }
        match probed.ended {
            None => Exit::Done,
            Some(reason) => {
                output::error(&format!("{reason}"));
                Exit::Failed
            }
        }
    }
}

impl Options {
    fn target(&self) -> Result<Target, String> {
        let Which { url, hikvision, dahua, axis, reolink, uniview, hanwha, tapo } = &self.which;
        if let Some(url) = url {
            return Target::from_url(url);
        }
        let vendors = [
            (hikvision, Vendor::Hikvision),
            (dahua, Vendor::Dahua),
            (axis, Vendor::Axis),
            (reolink, Vendor::Reolink),
            (uniview, Vendor::Uniview),
            (hanwha, Vendor::Hanwha),
            (tapo, Vendor::Tapo),
        ];
        let given = vendors.into_iter().find_map(|(host, vendor)| Some((host.as_ref()?, vendor)));
        let (host, vendor) = given.ok_or("give a URL or a vendor option such as --hikvision")?;
        let device = if self.recorder { Device::Recorder } else { Device::Camera };
        Target::from_vendor(vendor, host, device, self.channel, self.stream)
    }

    fn login(&self) -> Result<Option<Login>, String> {
        let (Some(user), Some(reference)) = (&self.user, &self.password_ref) else {
            return Ok(None);
        };
        let password = config::by_reference("--password-ref", reference, check::surroundings())?;
        Ok(Some(Login { user: user.clone(), password }))
    }

    /// How the camera is known; `tls`: the URL asks for TLS. Without an option any certificate is taken:
    /// it is what the operator came to see.
    fn trust(&self, tls: bool) -> Result<Option<Trust>, String> {
        match (tls, self.tls_pin, &self.tls_ca) {
            (false, None, None) => Ok(None),
            (false, _, _) => {
                Err("--tls-pin and --tls-ca need a URL that begins with rtsps://".to_owned())
            }
            (true, Some(pin), _) => Ok(Some(Trust::Pinned(pin))),
            (true, None, None) => Ok(Some(Trust::FirstUse)),
            (true, None, Some(file)) => {
                let at = file.display();
                let pem = (check::surroundings().read_file)(file)
                    .map_err(|error| format!("--tls-ca: {at}: {error}"))?;
                let authority = Authority::from_pem(&pem, self.tls_name.as_deref())
                    .map_err(|error| format!("--tls-ca: {at} {error}"))?;
                Ok(Some(Trust::Authority(authority)))
            }
        }
    }

    /// The lines of the entry: the CA if one vouched, the certificate otherwise.
    fn tls_lines(&self, shown: Option<Fingerprint>) -> Vec<(&'static str, String)> {
        match (&self.tls_ca, shown) {
            (_, None) => Vec::new(),
            (None, Some(print)) => vec![("tls", format!("sha256:{print}"))],
            (Some(file), Some(_)) => {
                let mut lines = vec![("tls", format!("ca:{}", file.display()))];
                lines.extend(self.tls_name.clone().map(|name| ("tls_name", name)));
                lines
            }
        }
    }

    fn profile(&self) -> &'static str {
        match self.stream {
            Stream::Main => "main",
            Stream::Sub => "sub",
        }
    }

    fn stream_name(&self) -> String {
        format!("{}/{}", self.name, self.profile())
    }
}

fn fail(options: &Options, label: &str, why: &str) -> Exit {
    if options.json {
        let error = serde_json::json!({ "error": { "reason": label, "message": why } });
        output::line(&error.to_string());
    }
    output::error(why);
    Exit::Failed
}

#[cfg(test)]
mod tests;
