use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::trust::tls::{
    self, Certificate, ClientCa, ClientCertificates, PeerIdentity, TlsError, Versions,
    peer_identity, server_config,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A directory that goes when the test ends.
pub(crate) struct TestDir(PathBuf);

impl TestDir {
    pub(crate) fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("camlock-test-{}-{n}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        // Nothing can be done about a failure here.
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

pub(crate) fn names() -> Names {
    Names { dns: vec!["localhost".into(), "gate.lan".into()], ip: vec![[127, 0, 0, 1].into()] }
}

/// A server configuration from files that [`ensure`] made, and its CA's certificate.
pub(crate) fn made(dir: &TestDir, clients: ClientCertificates) -> (Arc<ServerConfig>, String) {
    let files = ensure(&dir.path("pki"), &names(), SystemTime::now()).unwrap();
    let settings = tls::Settings {
        chain: files.server.clone(),
        key: files.server,
        versions: Versions::Tls13,
        clients,
    };
    (server_config(&settings).unwrap(), fs::read_to_string(files.ca).unwrap())
}

/// A client that trusts `ca` alone, with a certificate of its own or without.
pub(crate) fn client(ca: &str, own: Option<&Issued>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_webpki_verifier(verifier.build().unwrap());
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let chain = CertificateDer::pem_slice_iter(issued.chain.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .unwrap();
            let key = PrivateKeyDer::from_pem_slice(issued.key.expose_secret().as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    })
}

/// A real handshake over a pipe and one byte back, so that the client knows it was let in.
async fn handshake(
    server: &Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    name: &str,
) -> Result<Option<PeerIdentity>, String> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let serve = async {
        let mut tls = TlsAcceptor::from(Arc::clone(server)).accept(far).await?;
        tls.write_all(b"x").await?;
        tls.flush().await?;
        Ok::<_, std::io::Error>(peer_identity(tls.get_ref().1))
    };
    let connect = async {
        let mut tls = TlsConnector::from(client).connect(name, near).await?;
        tls.read_u8().await
    };
    let (served, connected) = tokio::join!(serve, connect);
    connected.map_err(|error| format!("client: {error}"))?;
    served.map_err(|error| format!("server: {error}"))
}

#[tokio::test]
async fn a_made_certificate_is_good_for_its_names_and_no_others() {
    let dir = TestDir::new();
    let (server, ca) = made(&dir, ClientCertificates::Ignored);
    for good in ["localhost", "gate.lan", "127.0.0.1"] {
        assert_eq!(handshake(&server, client(&ca, None), good).await, Ok(None), "{good}");
    }
    for bad in ["other.lan", "127.0.0.2", "::1"] {
        let error = handshake(&server, client(&ca, None), bad).await.unwrap_err();
        assert!(error.contains("not valid for name"), "{error}");
    }
    let other = Authority::new(SystemTime::now()).unwrap();
    let error = handshake(&server, client(other.pem(), None), "localhost").await.unwrap_err();
    assert!(error.contains("UnknownIssuer") || error.contains("BadSignature"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_as_configured() {
    let dir = TestDir::new();
    let (_, ca) = made(&dir, ClientCertificates::Ignored);
    let roots = ClientCa { roots: dir.path("pki/ca.pem"), revoked: vec![] };
    let (optional, _) = made(&dir, ClientCertificates::Optional(roots.clone()));
    let (required, _) = made(&dir, ClientCertificates::Required(roots));
    let now = SystemTime::now();
    let authority = load_authority(&dir.path("pki")).unwrap();
    let nvr = authority.issue_client("nvr-7", now).unwrap();
    for server in [&optional, &required] {
        let identity =
            handshake(server, client(&ca, Some(&nvr)), "localhost").await.unwrap().unwrap();
        assert_eq!(identity.common_name.as_deref(), Some("nvr-7"));
        let der = CertificateDer::from_pem_slice(nvr.chain.as_bytes()).unwrap();
        assert_eq!(Some(identity), PeerIdentity::from_der(&der));
    }
    assert_eq!(handshake(&optional, client(&ca, None), "localhost").await, Ok(None));
    assert!(handshake(&required, client(&ca, None), "localhost").await.is_err());

    let stranger = Authority::new(now).unwrap().issue_client("nvr-7", now).unwrap();
    let old = authority.issue_client("nvr-7", now - 826 * DAY).unwrap();
    let server_kind = authority.issue_server(&names(), now).unwrap();
    for (issued, what) in
        [(stranger, "another CA"), (old, "ended"), (server_kind, "not a client's")]
    {
        for server in [&optional, &required] {
            let got = handshake(server, client(&ca, Some(&issued)), "localhost").await;
            assert!(got.is_err(), "{what}: {got:?}");
        }
    }
}

#[tokio::test]
async fn a_revoked_client_certificate_ends_the_handshake() {
    use rcgen::{
        CertificateRevocationListParams, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
    };
    let dir = TestDir::new();
    let (_, ca) = made(&dir, ClientCertificates::Ignored);
    let now = SystemTime::now();
    let authority = load_authority(&dir.path("pki")).unwrap();
    let (bad, good) =
        (authority.issue_client("a", now).unwrap(), authority.issue_client("b", now).unwrap());
    let der = CertificateDer::from_pem_slice(bad.chain.as_bytes()).unwrap();
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let list = CertificateRevocationListParams {
        this_update: now.into(),
        next_update: (now + DAY).into(),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from_slice(parsed.raw_serial()),
            revocation_time: now.into(),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let key = KeyPair::from_pem(authority.key().expose_secret()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&ca, key).unwrap();
    let list = dir.write("list.pem", &list.signed_by(&issuer).unwrap().pem().unwrap());
    let roots = ClientCa { roots: dir.path("pki/ca.pem"), revoked: vec![list] };
    let (server, _) = made(&dir, ClientCertificates::Required(roots));
    assert!(handshake(&server, client(&ca, Some(&good)), "localhost").await.is_ok());
    let error = handshake(&server, client(&ca, Some(&bad)), "localhost").await.unwrap_err();
    assert!(error.contains("evoked"), "{error}");
}

#[tokio::test]
async fn tls_1_2_only_by_option() {
    let dir = TestDir::new();
    let (only_13, ca) = made(&dir, ClientCertificates::Ignored);
    let server = dir.path("pki/server.pem");
    let both = server_config(&tls::Settings {
        chain: server.clone(),
        key: server,
        versions: Versions::Tls12And13,
        clients: ClientCertificates::Ignored,
    })
    .unwrap();
    let old = {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    };
    assert!(handshake(&both, Arc::clone(&old), "localhost").await.is_ok());
    assert!(handshake(&only_13, old, "localhost").await.is_err());
}

#[tokio::test]
async fn sessions_are_never_resumed() {
    let dir = TestDir::new();
    let (server, ca) = made(&dir, ClientCertificates::Ignored);
    let client = client(&ca, None);
    for _ in 0..2 {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from("localhost").unwrap();
        let acceptor = TlsAcceptor::from(Arc::clone(&server));
        let connector = TlsConnector::from(Arc::clone(&client));
        let serve = async {
            let mut tls = acceptor.accept(far).await.unwrap();
            tls.write_all(b"x").await.unwrap();
            tls.flush().await.unwrap();
        };
        let connect = async {
            let mut tls = connector.connect(name, near).await.unwrap();
            tls.read_u8().await.unwrap();
            tls.get_ref().1.handshake_kind()
        };
        let ((), kind) = tokio::join!(serve, connect);
        assert_eq!(kind, Some(rustls::HandshakeKind::Full));
    }
}

fn stored(dir: &Path) -> Certificate {
    let text = fs::read_to_string(dir.join("server.pem")).unwrap();
    Certificate::from_der(&CertificateDer::from_pem_slice(text.as_bytes()).unwrap()).unwrap()
}

#[test]
fn the_ca_stays_and_the_server_certificate_is_renewed_when_it_must() {
    let test = TestDir::new();
    let dir = test.path("pki");
    let now = SystemTime::now();
    let first = ensure(&dir, &names(), now).unwrap();
    let ca = fs::read(&first.ca).unwrap();
    let server = fs::read(&first.server).unwrap();
    for file in ["ca.pem", "ca.key", "server.pem"] {
        let mode = fs::metadata(dir.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(ensure(&dir, &names(), now + 793 * DAY).unwrap(), first, "31 days are left");
    assert_eq!(fs::read(&first.server).unwrap(), server);

    let renewed = ensure(&dir, &names(), now + 795 * DAY).unwrap();
    assert!(renewed.not_after > first.not_after);
    assert_ne!(fs::read(&first.server).unwrap(), server);

    let more = Names { ip: vec![[127, 0, 0, 1].into(), IpAddr::from([192, 0, 2, 7])], ..names() };
    ensure(&dir, &more, now).unwrap();
    assert_eq!(stored(&dir).ip_addresses, more.ip);
    assert_eq!(stored(&dir).dns_names, more.dns);
    assert_eq!(fs::read(&first.ca).unwrap(), ca, "the CA is never written again");
    assert!(!dir.join("server.new").exists() && !dir.join("ca.new").exists());
}

#[test]
fn a_leaf_lives_825_days_at_most_and_never_longer_than_its_ca() {
    let test = TestDir::new();
    let dir = test.path("pki");
    let now = SystemTime::now();
    ensure(&dir, &names(), now).unwrap();
    let leaf = stored(&dir);
    assert!(leaf.not_after - leaf.not_before <= 825 * 24 * 3600);
    let today =
        i64::try_from(now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap();
    assert!(leaf.not_before < today, "clients whose clocks are behind");

    let nine_years = now + 9 * 365 * DAY;
    ensure(&dir, &names(), nine_years).unwrap();
    let ca = fs::read_to_string(dir.join("ca.pem")).unwrap();
    let ca =
        Certificate::from_der(&CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    assert_eq!(stored(&dir).not_after, ca.not_after);
    let error = ensure(&dir, &Names { dns: vec!["x".into()], ip: vec![] }, now + 3650 * DAY);
    assert!(matches!(error, Err(StoreError::Pki { error: PkiError::Ended, .. })), "{error:?}");
}

#[test]
fn a_first_start_that_was_cut_off_is_finished_and_a_lost_key_is_said() {
    let test = TestDir::new();
    let dir = test.path("pki");
    let now = SystemTime::now();
    ensure(&dir, &names(), now).unwrap();
    fs::remove_file(dir.join("ca.pem")).unwrap();
    fs::write(dir.join("ca.new"), "half").unwrap();
    ensure(&dir, &names(), now).unwrap();
    load_authority(&dir).unwrap();
    fs::remove_file(dir.join("ca.key")).unwrap();
    let error = ensure(&dir, &names(), now).unwrap_err();
    assert!(matches!(error, StoreError::NoKey(_)), "{error}");
    assert!(error.to_string().contains("restore it"), "{error}");
    let other = Authority::new(now).unwrap();
    fs::write(dir.join("ca.key"), other.key().expose_secret()).unwrap();
    let error = ensure(&dir, &names(), now).unwrap_err().to_string();
    assert!(error.contains("do not belong together"), "{error}");
}

#[test]
fn names_that_cannot_stand_in_a_certificate_are_refused() {
    let now = SystemTime::now();
    let authority = Authority::new(now).unwrap();
    let long = "a".repeat(64);
    for bad in ["", "a b", "rtsp://x", "-a", "a-", "a..b", "ü.lan", "*", "a.*.b", &long] {
        let names = Names { dns: vec![bad.into()], ip: vec![] };
        assert!(matches!(authority.issue_server(&names, now), Err(PkiError::Name(_))), "{bad}");
    }
    let none = authority.issue_server(&Names::default(), now);
    assert!(matches!(none, Err(PkiError::NoName)));
    for bad in ["", "a\nb", &"x".repeat(65)] {
        assert!(matches!(authority.issue_client(bad, now), Err(PkiError::Name(_))), "{bad}");
    }
}

#[test]
fn faults_name_the_file_and_what_to_do() {
    let dir = TestDir::new();
    let (_, ca) = made(&dir, ClientCertificates::Ignored);
    let server = dir.path("pki/server.pem");
    let other = Authority::new(SystemTime::now()).unwrap();
    let settings = |chain: &Path, key: &Path, clients| tls::Settings {
        chain: chain.into(),
        key: key.into(),
        versions: Versions::Tls13,
        clients,
    };
    let none = || ClientCertificates::Ignored;
    let (gone, ca, other, text) = (
        dir.path("gone.pem"),
        dir.write("ca.pem", &ca),
        dir.write("other.key", other.key().expose_secret()),
        dir.write("text.pem", "-----BEGIN CERTIFICATE-----\nsecret\n"),
    );
    let required = ClientCertificates::Required(ClientCa { roots: gone.clone(), revoked: vec![] });
    let cases = [
        (settings(&gone, &server, none()), "gone.pem", "readable PEM"),
        (settings(&server, &ca, none()), "ca.pem", "private key"),
        (settings(&other, &server, none()), "other.key", "no certificate"),
        (settings(&server, &other, none()), "other.key", "belong together"),
        (settings(&text, &server, none()), "text.pem", "not PEM"),
        (settings(&server, &server, required), "gone.pem", "readable PEM"),
    ];
    for (settings, file, what) in cases {
        let error: TlsError = server_config(&settings).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(file) && text.contains(what), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
