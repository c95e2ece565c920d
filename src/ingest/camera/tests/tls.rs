//! A camera behind TLS that is not the same one twice.

use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::trust::tls::client::Trust;

/// A camera with a certificate of its own.
fn device() -> TlsAcceptor {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["ipcam.local".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Some cameras hang up with their first `401`. What takes the second connection must be the same camera, and
/// if it is not, that is what is told.
#[tokio::test]
async fn another_camera_on_the_second_connection_is_told_as_that() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let camera = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut stream = device().accept(socket).await.unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let refusal = "RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nConnection: close\r\n\
                       WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n\r\n";
        stream.write_all(refusal.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        assert!(device().accept(socket).await.is_err(), "nothing is said to another camera");
    });
    let login = Login { user: "gate".to_owned(), password: SecretString::from("secret") };
    let profile = ProfileSettings {
        stream: StreamName::parse("door/main").unwrap(),
        path: "/main".to_owned(),
        start: StartMode::Always,
        ring_bytes: None,
    };
    let settings = CameraSettings {
        name: "door".to_owned(),
        login: Some(login),
        basic: BasicPolicy::Refuse,
        tls: Some(Trust::FirstUse),
        profiles: vec![profile],
    };
    let segment = Segment::new(segment::Settings {
        cameras: [("door".to_owned(), address)].into(),
        ..segment::Settings::default()
    });
    let (metrics, board) = (Metrics::new(), Board::new());
    let hub = Hub::with_settings(crate::hub::Settings::default(), Arc::clone(&metrics));
    let segment = Arc::new(segment.unwrap());
    let cameras =
        Cameras::start(vec![settings], &segment, &hub, &board, &metrics, &books()).unwrap();
    let name = StreamName::parse("door/main").unwrap();
    let mut all = board.watch();
    let told = all.wait_for(|all| matches!(all.get(&name), Some(Health::Waiting { .. })));
    let told = timeout(PATIENCE, told).await.expect("an end in time").unwrap().get(&name).cloned();
    let Some(Health::Waiting { reason, .. }) = told else { panic!("{told:?}") };
    assert!(reason.starts_with("the camera's certificate changed"), "{reason}");
    let ends =
        "camlock_camera_ends_total{stream=\"door/main\",reason=\"tls_certificate_changed\"} 1";
    assert!(metrics.encode().contains(ends), "{}", metrics.encode());
    camera.await.unwrap();
    cameras.shutdown().await;
}
