//! TLS of the listeners: what they speak, whom they let in, and certificates that change.

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::time::Duration;

    use control_api::auth::issuer::{Issuer, IssuerRules, KeySource};
    use control_api::config::Config;
    use control_api::node::Running;
    use hyper_util::rt::TokioIo;
    use proto::v1::room_service_client::RoomServiceClient;
    use proto::v1::{CreateRoomRequest, ListRoomsRequest};
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{sleep, timeout};
    use tokio_rustls::client::TlsStream;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    /// An authority and the folder its certificates are in.
    struct Ca {
        issuer: CertifiedIssuer<'static, KeyPair>,
        folder: PathBuf,
    }

    impl Ca {
        fn new(test: &str) -> Self {
            let mut parameters = CertificateParams::new(Vec::new()).unwrap();
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            let folder =
                std::env::temp_dir().join(format!("plenum-tls-{test}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            let issuer = CertifiedIssuer::self_signed(parameters, key).unwrap();
            std::fs::write(folder.join("ca"), issuer.pem()).unwrap();
            Self { issuer, folder }
        }

        /// Writes `name.crt` and `name.key`.
        fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
            let key = KeyPair::generate().unwrap();
            let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
            let paths = (
                self.path(&format!("{name}.crt")),
                self.path(&format!("{name}.key")),
            );
            std::fs::write(&paths.0, certificate.pem()).unwrap();
            std::fs::write(&paths.1, key.serialize_pem()).unwrap();
            paths
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.join(name)
        }

        /// Connects, speaking `protocol`, as whom `own` names.
        async fn connect(
            &self,
            address: SocketAddr,
            protocol: &[u8],
            own: Option<&(PathBuf, PathBuf)>,
        ) -> std::io::Result<TlsStream<TcpStream>> {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let builder =
                ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_root_certificates(roots);
            let mut config = match own {
                None => builder.with_no_client_auth(),
                Some((cert, key)) => {
                    let cert = CertificateDer::from_pem_file(cert).unwrap();
                    let key = PrivateKeyDer::from_pem_file(key).unwrap();
                    builder.with_client_auth_cert(vec![cert], key).unwrap()
                }
            };
            config.alpn_protocols = vec![protocol.to_vec()];
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from("localhost").unwrap();
            TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await
        }
    }

    impl Drop for Ca {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }

    async fn get(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> String {
        let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        drop(stream.read_to_string(&mut answer).await);
        answer
    }

    fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    fn der(path: &Path) -> Vec<u8> {
        CertificateDer::from_pem_file(path).unwrap().to_vec()
    }

    #[tokio::test]
    async fn https_takes_a_new_certificate_and_keeps_the_old_one_when_the_new_is_bad() {
        let ca = Ca::new("reload");
        let (cert, key) = ca.issue("http");
        let running = Running::start(Config {
            tls_cert: Some(cert.clone()),
            tls_key: Some(key.clone()),
            ..Config::on_free_ports()
        })
        .await
        .unwrap();
        let stream = ca.connect(running.http, b"http/1.1", None).await.unwrap();
        let (_, session) = stream.get_ref();
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(get(stream).await.starts_with("HTTP/1.1 200"));
        assert!(ca.connect(running.http, b"h2", None).await.is_err());
        assert!(
            running
                .node
                .urls()
                .connect()
                .starts_with("wss://127.0.0.1:")
        );

        // In the clear: sent to where the page is.
        let answer = get(TcpStream::connect(running.http).await.unwrap()).await;
        assert!(answer.starts_with("HTTP/1.1 307"), "{answer}");
        let origin = format!("location: https://{}/\r\n", running.http);
        assert!(answer.contains(&origin), "{answer}");

        let first = der(&cert);
        std::fs::write(&cert, "no certificate").unwrap();
        sleep(control_api::limits::TLS_RELOAD_INTERVAL * 2).await;
        let stream = ca.connect(running.http, b"http/1.1", None).await.unwrap();
        assert_eq!(shown(&stream), first);

        drop(ca.issue("http"));
        let second = der(&cert);
        let changed = async {
            loop {
                let stream = ca.connect(running.http, b"http/1.1", None).await.unwrap();
                if shown(&stream) == second {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(Duration::from_secs(20), changed).await.unwrap();
        running.end().await;
    }

    #[tokio::test]
    async fn a_backends_certificate_stands_for_a_token() {
        let ca = Ca::new("mtls");
        let (cert, key) = ca.issue("grpc");
        let own = ca.issue("backend");
        let keys = ca.path("keys");
        std::fs::write(&keys, format!("main: {SECRET}\n")).unwrap();
        let mut config = Config::on_free_ports();
        config.keys_file = Some(keys);
        config.grpc.tls_cert = Some(cert.clone());
        config.grpc.tls_key = Some(key.clone());
        config.grpc.client_ca = Some(ca.path("ca"));
        config.admin.tls_cert = Some(cert);
        config.admin.tls_key = Some(key);
        config.admin.client_ca = Some(ca.path("ca"));
        let running = Running::start(config).await.unwrap();

        let other = Ca::new("mtls-other");
        let stranger = other.issue("stranger");
        for own in [None, Some(&stranger)] {
            // TLS 1.3: the client learns of the refusal with the first thing it reads.
            let answer = match ca.connect(running.grpc, b"h2", own).await {
                Ok(mut stream) => stream.read_u8().await.map(drop),
                Err(error) => Err(error),
            };
            assert!(answer.is_err());
        }
        let stream = ca.connect(running.grpc, b"h2", Some(&own)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut rooms = rooms(stream).await;
        rooms.list_rooms(ListRoomsRequest::default()).await.unwrap();
        let mut bad = tonic::Request::new(ListRoomsRequest::default());
        bad.metadata_mut()
            .insert("authorization", "Bearer nonsense".parse().unwrap());
        let status = rooms.list_rooms(bad).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);

        let stream = ca
            .connect(running.admin, b"http/1.1", Some(&own))
            .await
            .unwrap();
        assert!(get(stream).await.starts_with("HTTP/1.1 200"));
        running.end().await;
    }

    #[tokio::test]
    async fn each_backend_with_a_certificate_repeats_its_own_calls_only() {
        let ca = Ca::new("principal");
        let (cert, key) = ca.issue("grpc");
        let (one, two) = (ca.issue("one"), ca.issue("two"));
        let mut config = Config::on_free_ports();
        config.grpc.tls_cert = Some(cert);
        config.grpc.tls_key = Some(key);
        config.grpc.client_ca = Some(ca.path("ca"));
        let running = Running::start(config).await.unwrap();
        let make = async |own: &(PathBuf, PathBuf), room: &str| {
            let stream = ca.connect(running.grpc, b"h2", Some(own)).await.unwrap();
            let asked = CreateRoomRequest {
                room_id: room.to_owned(),
                request_id: "the-same".to_owned(),
                ..CreateRoomRequest::default()
            };
            rooms(stream).await.create_room(asked).await
        };
        let first = make(&one, "a").await.unwrap().into_inner();
        // Over another connection of the same backend: the same call, and another one.
        let again = make(&one, "a").await.unwrap().into_inner();
        assert_eq!(again.uid, first.uid);
        let reused = make(&one, "b").await.unwrap_err();
        assert_eq!(reused.code(), tonic::Code::InvalidArgument);
        // The id is another backend's to use.
        assert_eq!(make(&two, "b").await.unwrap().into_inner().name, "rooms/b");
        running.end().await;
    }

    /// Serves a set of keys over TLS, as whom `own` names.
    async fn login(own: &(PathBuf, PathBuf)) -> SocketAddr {
        const SET: &str = "{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"kid\": \"a\", \
                           \"x\": \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}";
        let cert = CertificateDer::from_pem_file(&own.0).unwrap();
        let key = PrivateKeyDer::from_pem_file(&own.1).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Who does not trust it goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut head = [0; 1_024];
                drop(stream.read(&mut head).await);
                let length = SET.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{SET}");
                drop(stream.write_all(answer.as_bytes()).await);
                drop(stream.shutdown().await);
            }
        }));
        address
    }

    #[tokio::test]
    async fn keys_of_an_issuer_are_taken_from_whom_the_authorities_vouch_for() {
        let (ca, other) = (Ca::new("jwks"), Ca::new("jwks-other"));
        let port = login(&ca.issue("login")).await.port();
        for (host, authorities, is_good) in [
            ("localhost", Some(ca.path("ca")), true),
            ("localhost", Some(other.path("ca")), false),
            // Those of the system, which do not know ours.
            ("localhost", None, false),
            // Its certificate is for a name.
            ("127.0.0.1", Some(ca.path("ca")), false),
        ] {
            let url = format!("https://{host}:{port}/keys");
            let issuer = Issuer::new(IssuerRules {
                issuer: "https://login.example".to_owned(),
                audience: "plenum".to_owned(),
                claims: Vec::new(),
                source: KeySource::Url(url.parse().unwrap(), authorities.clone()),
                refresh: Duration::from_secs(300),
            });
            let asked = issuer.reload().await;
            assert_eq!(asked.is_ok(), is_good, "{url} {authorities:?}: {asked:?}");
            assert_eq!(issuer.counts().keys, usize::from(is_good));
        }
    }

    #[tokio::test]
    async fn a_start_with_files_that_are_no_good_names_the_file() {
        let ca = Ca::new("bad");
        let (cert, key) = ca.issue("one");
        let (_, other_key) = ca.issue("two");
        let empty = ca.path("empty");
        std::fs::write(&empty, "").unwrap();
        for (cert, key, needle) in [
            (&empty, &key, "--tls-cert"),
            (&key, &key, "there is no certificate"),
            (&cert, &cert, "there is no private key"),
            (&cert, &other_key, "not the key of the certificate"),
            (&ca.path("none"), &key, "No such file"),
        ] {
            let config = Config {
                tls_cert: Some(cert.clone()),
                tls_key: Some(key.clone()),
                ..Config::on_free_ports()
            };
            let error = config.check_files().unwrap_err().to_string();
            assert!(error.contains(needle), "{error} lacks {needle}");
            let started = Running::start(config).await.unwrap_err();
            assert_eq!(started.to_string(), error);
        }
    }

    async fn rooms(stream: TlsStream<TcpStream>) -> RoomServiceClient<tonic::transport::Channel> {
        let channel = tonic::transport::Endpoint::from_static("http://localhost")
            .connect_with_connector(Once(Some(stream)))
            .await;
        RoomServiceClient::new(channel.unwrap())
    }

    /// Gives the connection that is already there.
    struct Once(Option<TlsStream<TcpStream>>);

    impl tonic::codegen::Service<tonic::codegen::http::Uri> for Once {
        type Response = TokioIo<TlsStream<TcpStream>>;
        type Error = std::io::Error;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: tonic::codegen::http::Uri) -> Self::Future {
            let stream = self.0.take().map(TokioIo::new);
            std::future::ready(stream.ok_or_else(|| std::io::ErrorKind::NotConnected.into()))
        }
    }
}
