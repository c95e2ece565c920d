//! Cameras of every kind on the other end of a pipe: sound, wrong, old and hostile.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::*;

const CAMERA: &str = "192.0.2.10";

/// Not more than a camera may take, and some room for a machine under load.
const LEEWAY: Duration = Duration::from_millis(500);

/// What a camera shows, and the key it signs with.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl Shown {
    fn new(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
        // Not checked to belong together.
        Self(Arc::new(CertifiedKey::new(chain, key)))
    }

    fn self_signed(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        Self::new(vec![params.self_signed(&key).unwrap().der().clone()], &key)
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0.cert[0])
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

/// A certificate as cameras make it for themselves: another name, long over.
fn homemade() -> CertificateParams {
    let mut params = CertificateParams::new(["ipcam.local".to_owned()]).unwrap();
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(1971, 1, 1);
    params
}

/// A CA of the operator.
struct Ca(Issuer<'static, KeyPair>, String);

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn signs(&self, name: &str, change: impl Fn(&mut CertificateParams)) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        Shown::new(vec![params.signed_by(&key, &self.0).unwrap().der().clone()], &key)
    }

    fn expected(&self, name: Option<&str>) -> Expected {
        Expected::Authority(Authority::from_pem(self.1.as_bytes(), name).unwrap())
    }
}

fn accept(
    shown: Shown,
    versions: &[&'static SupportedProtocolVersion],
    change: impl FnOnce(&mut ServerConfig),
) -> (DuplexStream, JoinHandle<io::Result<Vec<u8>>>) {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    change(&mut config);
    let (near, far) = duplex(64 * 1024);
    let camera = tokio::spawn(async move {
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(far).await?;
        let mut heard = vec![0; 4];
        stream.read_exact(&mut heard).await?;
        stream.write_all(b"pong").await?;
        stream.shutdown().await?;
        Ok(heard)
    });
    (near, camera)
}

async fn try_shown(shown: Shown, expected: &Expected) -> Result<Peer, Failure> {
    let (near, _camera) = accept(shown, rustls::ALL_VERSIONS, |_| ());
    connect(near, CAMERA.parse().unwrap(), expected).await.map(|(_, peer)| peer)
}

#[tokio::test]
async fn a_pinned_camera_is_taken_whatever_its_name_and_dates() {
    for (versions, version) in
        [([&rustls::version::TLS13], Version::Tls13), ([&rustls::version::TLS12], Version::Tls12)]
    {
        let shown = Shown::self_signed(&homemade());
        let expected = Expected::This(shown.fingerprint());
        let fingerprint = shown.fingerprint();
        let (near, camera) = accept(shown, &versions, |_| ());
        let connected = connect(near, CAMERA.parse().unwrap(), &expected).await;
        let (mut stream, peer) = connected.unwrap();
        assert_eq!(peer, Peer { fingerprint, not_after: 365 * 24 * 3600, version });
        assert!(peer.not_after_text().contains("1971"), "{}", peer.not_after_text());
        stream.write_all(b"ping").await.unwrap();
        stream.flush().await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        assert_eq!(
            (heard.as_slice(), camera.await.unwrap().unwrap()),
            (&b"pong"[..], b"ping".to_vec())
        );
    }
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_refused_and_named() {
    let shown = Shown::self_signed(&homemade());
    let (expected, got) = (Fingerprint::of(b"other"), shown.fingerprint());
    let failure = try_shown(shown, &Expected::This(expected)).await.unwrap_err();
    assert_eq!(failure, Failure::OtherCertificate { expected, got });
    let said = failure.to_string();
    assert!(said.contains(&expected.short()) && said.contains(&got.to_string()), "{said}");
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    for versions in [[&rustls::version::TLS13], [&rustls::version::TLS12]] {
        let stolen = Shown::self_signed(&homemade()).0.cert.clone();
        let thief = Shown::new(stolen, &KeyPair::generate().unwrap());
        let expected = Expected::This(thief.fingerprint());
        let (near, _camera) = accept(thief, &versions, |_| ());
        let failure = connect(near, CAMERA.parse().unwrap(), &expected).await.unwrap_err();
        assert_eq!(failure, Failure::BadSignature);
    }
}

#[tokio::test]
async fn a_ca_vouches_for_address_or_name_dates_and_purpose() {
    let (ca, other) = (Ca::new(), Ca::new());
    let same = |_: &mut CertificateParams| ();
    let of_today = CertificateParams::new([CAMERA.to_owned()]).unwrap();
    let by_address = ca.expected(None);
    assert!(try_shown(ca.signs(CAMERA, same), &by_address).await.is_ok());
    let by_name = ca.expected(Some("door.example"));
    assert!(try_shown(ca.signs("door.example", same), &by_name).await.is_ok());
    for (shown, expected, why) in [
        (other.signs(CAMERA, same), &by_address, Untrusted::Issuer),
        (Shown::self_signed(&of_today), &by_address, Untrusted::Issuer),
        (ca.signs("192.0.2.11", same), &by_address, Untrusted::Name),
        (ca.signs(CAMERA, same), &by_name, Untrusted::Name),
        (
            ca.signs(CAMERA, |params| params.not_after = date_time_ymd(2000, 1, 1)),
            &by_address,
            Untrusted::Expired,
        ),
        (
            ca.signs(CAMERA, |params| params.not_before = date_time_ymd(2999, 1, 1)),
            &by_address,
            Untrusted::NotYet,
        ),
        (
            ca.signs(CAMERA, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            &by_address,
            Untrusted::Purpose,
        ),
        (
            ca.signs(CAMERA, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            &by_address,
            Untrusted::IsCa,
        ),
    ] {
        assert_eq!(try_shown(shown, expected).await, Err(Failure::Untrusted(why)));
    }
}

#[test]
fn what_is_no_ca_is_no_authority() {
    let bad = |pem: &str, name| Authority::from_pem(pem.as_bytes(), name).unwrap_err();
    assert_eq!(bad("", None), BadAuthority::Empty);
    assert_eq!(bad("-----BEGIN CERTIFICATE-----\n?", None), BadAuthority::NotPem);
    let empty = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    assert_eq!(bad(empty, None), BadAuthority::NotACa);
    assert_eq!(bad(&Ca::new().1, Some("a b")), BadAuthority::Name);
}

/// Made by `openssl req -x509 -newkey rsa:1024`.
const SHORT_KEY: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIICADCCAWmgAwIBAgIUMt4K15g+4cYaquVMU7QxVuC12+UwDQYJKoZIhvcNAQEL\n\
BQAwETEPMA0GA1UEAwwGY2FtZXJhMCAXDTI2MTEyNTA4NTExMVoYDzIxMjYxMTAx\n\
MDg1MTExWjARMQ8wDQYDVQQDDAZjYW1lcmEwgZ8wDQYJKoZIhvcNAQEBBQADgY0A\n\
MIGJAoGBANeXKkRFZTFHmuU71YJtzGEPFQAiKVBdMQt4KbMiyScAF4FIWlfITems\n\
hpawKjnmRqxVHxQvQLIVkvwqgxARDkTyn3MGpX+VzMLdfzSYl3a+XYVIhmrvNi2R\n\
+CZ+DMDTD6d+lXW77JQ6HNa/PIjs2kqF8MkHCykZxv8MJHpF3uazAgMBAAGjUzBR\n\
MB0GA1UdDgQWBBQnS2bqEm+2/0jI+mwd8+6cc9AY+DAfBgNVHSMEGDAWgBQnS2bq\n\
Em+2/0jI+mwd8+6cc9AY+DAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUA\n\
A4GBAGN4brv4OGPz80Fns41bNwQyNL8uj9slWnV0DrrLn6DQ0nM6AnSR6Yv5XjRC\n\
husFo7HiF6DDXXONxi5Sb04/rVjLGrQcxgnvr5/avs/aXQtoWi/zT8Vq9wWhTGor\n\
jhEfI3WHIxotw88FkvmXOoA9Fckze0jvvrgf1eKqmbGKf8ra\n\
-----END CERTIFICATE-----\n";
/// Made by `openssl x509 -req` without extensions.
const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIICqzCCAZMCFH0CEQkJY+jzJ2uft8pY38tGp7HfMA0GCSqGSIb3DQEBCwUAMBEx\n\
DzANBgNVBAMMBmNhbWVyYTAgFw0yNjExMjUwODUxMTJaGA8yMTI2MTEwMTA4NTEx\n\
MlowETEPMA0GA1UEAwwGY2FtZXJhMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIB\n\
CgKCAQEAwcXs6XAsEWCRsqMX8EO1QHY1xpoxAPEFMYPvDXC7k71mEVIcNsuiX/P0\n\
N7J3v9WQOapz55l/CWVRPFBBUlXO9aQpUiKChbnptxiQyu050DzcX7oqqkgSrmmF\n\
qobtND2UHphdVPuGFmn6cvo4Ivxy8eGZcj+nLZAxlL4+joFdN2t8Nl8jkw89I8T9\n\
L7V68Hsi2d+AbGamgKMMLOo4TXFysE+HClzrRSvaO4Xarym/9CuF+pVvvzW4kmOR\n\
X6Bv3Y2f0F/LiqMkTTSRjzJgut98h+roR2aprsvTzB24ImAnrwS2LM5ZmOZ+AsNu\n\
CCI5nVre1H76z4VwdgD8Uv43GUqpBQIDAQABMA0GCSqGSIb3DQEBCwUAA4IBAQAo\n\
OZwnYI3OZpfpxNd+7vxxMERgVrEIIpL9xLk38BUnTd2iL6sAFdjp43oQ4/j8zi1v\n\
+pmK8tvZwQFgQ3SRESxHHK1VkK4I1pilFpWQGIDybOjQSt1mSbDptpG5KW0wXcMw\n\
hDGDXoUirweYc8G0uK6tfA9vGpGQtmjEHwAWt9c+mk4Y2WKBz/tpX8vuqvQRcPTs\n\
dl3v5PkNEcVj7P+ZQ7zQ49XK15X4uiXxija7ZqSDQM4b8x5avMiXr3I2JLNn1FS1\n\
8xIgkjVhUuaSpS8dAB2N0pAW2ApzSiJcrK847vbZ4NKhStWrdXoKdZ3c8G2iXaCC\n\
o4vZeRDZF1TD7hVSxwhr\n\
-----END CERTIFICATE-----\n";

#[tokio::test]
async fn old_certificates_are_refused_with_what_to_do() {
    for (pem, why) in [
        (SHORT_KEY, Unusable::ShortKey(1024)),
        (VERSION_1, Unusable::OldVersion),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", Unusable::Unreadable),
    ] {
        let old = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let pinned = Expected::This(Fingerprint::of(&old));
        let shown = Shown::new(vec![old], &KeyPair::generate().unwrap());
        let failure = try_shown(shown, &pinned).await.unwrap_err();
        assert_eq!(failure, Failure::Unusable(why));
        assert!(failure.to_string().contains("make a new one in the camera"), "{failure}");
    }
}

#[tokio::test]
async fn a_certificate_too_many_or_a_byte_too_much_is_refused() {
    // Its signatures all have the same length.
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate = |extra: usize| {
        let mut params = homemade();
        let filler = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 1], vec![0; extra]);
        params.custom_extensions = vec![filler];
        params.self_signed(&key).unwrap().der().clone()
    };
    let small = certificate(1);
    // A length of two bytes in each header, as at the end.
    let head = certificate(10_000).len() - 10_000;
    let full = certificate(limits::CAMERA_CERTIFICATE_BYTES - head);
    assert_eq!(full.len(), limits::CAMERA_CERTIFICATE_BYTES);
    let over = certificate(limits::CAMERA_CERTIFICATE_BYTES - head + 1);
    let several = |n| vec![small.clone(); n];
    for (chain, taken) in [
        (several(limits::CAMERA_CERTIFICATES), Ok(())),
        (several(limits::CAMERA_CERTIFICATES + 1), Err(Failure::LongChain)),
        (vec![full], Ok(())),
        (vec![over], Err(Failure::LongChain)),
        // Over what the library takes of one message.
        (vec![certificate(30_000); 3], Err(Failure::TooMuch)),
    ] {
        let shown = Shown::new(chain, &key);
        let tried = try_shown(shown, &Expected::Any).await;
        assert_eq!(tried.map(drop), taken);
    }
}

/// What a hostile peer does once the hello is there.
async fn hostile<F>(act: impl FnOnce(DuplexStream) -> F) -> (Failure, Duration)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (near, mut far) = duplex(16 * 1024);
    let begin = Instant::now();
    let connecting = connect(near, CAMERA.parse().unwrap(), &Expected::Any);
    let peer = async {
        let mut head = [0; 5];
        far.read_exact(&mut head).await.unwrap();
        assert_eq!(head[..2], [22, 3], "a hello comes first");
        let _peer = tokio::spawn(act(far));
        std::future::pending::<()>().await;
    };
    let failure = tokio::select! {
        connected = connecting => connected.unwrap_err(),
        () = peer => unreachable!("it is pending"),
    };
    (failure, begin.elapsed())
}

/// One record of TLS 1.2 (RFC 5246 section 6.2.1).
fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3][..], &length, payload].concat()
}

async fn forever(mut camera: DuplexStream, bytes: Vec<u8>) {
    while camera.write_all(&bytes).await.is_ok() {}
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_or_slow_is_left_in_time() {
    let silent = |camera: DuplexStream| async move {
        let _kept_open = camera;
        std::future::pending::<()>().await;
    };
    let (failure, took) = hostile(silent).await;
    assert_eq!(failure, Failure::TimedOut);
    assert!(took >= limits::CAMERA_HANDSHAKE && took <= limits::CAMERA_HANDSHAKE + LEEWAY);

    let slow = |mut camera: DuplexStream| async move {
        for byte in record(22, &[2; 16_000]) {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if camera.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    };
    let (failure, took) = hostile(slow).await;
    assert_eq!(failure, Failure::TimedOut);
    assert!(took <= limits::CAMERA_HANDSHAKE + LEEWAY, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn hostile_peers_are_left_at_once_and_by_name() {
    let says = |bytes: Vec<u8>| move |camera| forever(camera, bytes);
    let once = |bytes: Vec<u8>| {
        move |mut camera: DuplexStream| async move {
            camera.write_all(&bytes).await.unwrap();
        }
    };
    // A message of 65,535 bytes, and one that says it has 16 MiB.
    let endless = [&[11, 0, 0xff, 0xff][..], &[0; 12_000]].concat();
    let huge = [&[11, 0xff, 0xff, 0xff][..], &[0; 1000]].concat();
    for (i, (failure, seen)) in [
        (Failure::NotTls, hostile(says(b"RTSP/1.0 400 Bad Request\r\n\r\n".to_vec())).await),
        (Failure::NotTls, hostile(says(vec![0xa5; 4000])).await),
        (Failure::TooMuch, hostile(says(record(22, &endless))).await),
        (Failure::TooMuch, hostile(says(record(22, &huge))).await),
        // user_canceled, a warning; then one that is fatal.
        (Failure::Misbehaved, hostile(says(record(21, &[1, 90]))).await),
        (Failure::NothingInCommon, hostile(once(record(21, &[2, 40]))).await),
        (Failure::Alert(80), hostile(once(record(21, &[2, 80]))).await),
        (Failure::Misbehaved, hostile(says(record(20, &[1]))).await),
        (Failure::Misbehaved, hostile(says(record(23, &[0; 100]))).await),
        (Failure::Misbehaved, hostile(says(record(22, &[2, 0, 0, 4, 3, 3, 0, 0]))).await),
        (Failure::Closed, hostile(once(Vec::new())).await),
        (Failure::Closed, hostile(once(record(22, &endless))).await),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(seen.0, failure, "{i}");
        assert!(seen.1 <= LEEWAY, "{i}: {:?}", seen.1);
    }
}

#[tokio::test]
async fn a_flood_that_is_no_data_ends_the_connection() {
    let shown = Shown::self_signed(&homemade());
    let (near, _camera) = accept(shown, &[&rustls::version::TLS13], |config| {
        config.send_tls13_tickets = 2000;
    });
    let connected = connect(near, CAMERA.parse().unwrap(), &Expected::Any).await;
    let (mut stream, _) = connected.unwrap();
    stream.write_all(b"ping").await.unwrap();
    stream.flush().await.unwrap();
    let error = stream.read(&mut [0; 100]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
}

#[tokio::test]
async fn as_many_tickets_as_servers_send_are_no_flood() {
    let shown = Shown::self_signed(&homemade());
    let (near, _camera) = accept(shown, &[&rustls::version::TLS13], |config| {
        config.send_tls13_tickets = 16;
    });
    let (mut stream, _) = connect(near, CAMERA.parse().unwrap(), &Expected::Any).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    stream.flush().await.unwrap();
    let mut heard = [0; 4];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"pong");
}

#[tokio::test]
async fn data_fills_the_credit_again_and_nothing_else_does() {
    let (near, mut far) = duplex(2 * limits::CAMERA_TLS_BYTES);
    far.write_all(&vec![0; 2 * limits::CAMERA_TLS_BYTES]).await.unwrap();
    let mut meter = Meter::new(near);
    let mut all = vec![0; limits::CAMERA_TLS_BYTES];
    meter.read_exact(&mut all).await.unwrap();
    assert!(meter.read(&mut [0; 1]).await.is_err(), "one over");
    meter.data(1);
    meter.read_exact(&mut all[..limits::CAMERA_TLS_FACTOR]).await.unwrap();
    assert!(meter.read(&mut [0; 1]).await.is_err(), "one over again");
}
