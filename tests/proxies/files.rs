//! The proxies' configurations, as they stand in `contrib/`, made to fit into a folder and on free ports.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// The name that the configurations are written for.
pub(crate) const NAME: &str = "chat.example.com";

/// Ports that nobody has, for all that a configuration listens on or leads to.
pub(crate) struct Ports {
    /// TLS ends at the proxy.
    pub(crate) edge: u16,
    /// And begins again behind it.
    pub(crate) again: u16,
    pub(crate) plain: u16,
    pub(crate) through: u16,
    pub(crate) redirect: u16,
    pub(crate) server_again: u16,
    pub(crate) server_through: u16,
}

impl Ports {
    pub(crate) fn free() -> Self {
        // All are held until all are known.
        let held = [(); 7].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [edge, again, plain, through, redirect, server_again, server_through] =
            held.each_ref().map(|it| it.local_addr().unwrap().port());
        Self { edge, again, plain, through, redirect, server_again, server_through }
    }
}

/// A file of `contrib/` with other words in it. Each must be there, or the test is about another file.
fn contributed(file: &str, changes: &[(&str, String)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(file);
    let mut text = fs::read_to_string(path).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{file} has no {from:?}");
        text = text.replace(from, to);
    }
    text
}

/// Where nginx and HAProxy wait for silence to end, another time.
pub(crate) struct Patience(pub(crate) &'static str);

pub(crate) fn nginx(folder: &Path, ports: &Ports, patience: &Patience, stream: Option<&Path>) {
    let here = |port: u16| format!("listen 127.0.0.1:{port}");
    let at = folder.display();
    let servers = contributed(
        "nginx/sockeye.conf",
        &[
            ("listen [::]:", "# ".to_owned()),
            ("listen 80;", here(ports.redirect) + ";"),
            ("listen 443", here(ports.edge)),
            ("listen 9443", here(ports.again)),
            ("listen 8081", here(ports.plain)),
            ("127.0.0.1:8444;", format!("127.0.0.1:{};", ports.server_again)),
            ("/run/sockeye/", format!("{at}/")),
            ("/etc/sockeye/", format!("{at}/")),
        ],
    );
    fs::write(folder.join("sockeye.conf"), servers).unwrap();
    let proxy = contributed("nginx/sockeye-proxy.conf", &[("75s", patience.0.to_owned())]);
    fs::write(folder.join("sockeye-proxy.conf"), proxy).unwrap();
    let mut main = format!(
        "{}worker_processes 1;\npid {at}/nginx.pid;\nerror_log {at}/proxy.log info;\nevents {{}}\n",
        // Its workers must be able to use the folder.
        if is_root() { "user root;\n" } else { "" },
    );
    main += "http {\n    access_log off;\n";
    for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        main += &format!("    {name}_temp_path {at}/{name};\n");
    }
    main += "    include sockeye.conf;\n}\n";
    if let Some(module) = stream {
        let through = contributed(
            "nginx/sockeye-stream.conf",
            &[
                ("listen [::]:", "# ".to_owned()),
                ("listen 8443", here(ports.through)),
                (
                    "proxy_pass 127.0.0.1:8445",
                    format!("proxy_pass 127.0.0.1:{}", ports.server_through),
                ),
                ("75s", patience.0.to_owned()),
            ],
        );
        fs::write(folder.join("sockeye-stream.conf"), through).unwrap();
        main = format!("load_module {};\n{main}", module.display());
        main += "stream {\n    include sockeye-stream.conf;\n}\n";
    }
    fs::write(folder.join("nginx.conf"), main).unwrap();
}

pub(crate) fn haproxy(folder: &Path, ports: &Ports, patience: &Patience) {
    let here = |port: u16| format!("bind 127.0.0.1:{port}");
    let at = folder.display();
    let text = contributed(
        "haproxy/haproxy.cfg",
        &[
            ("    user haproxy\n    group haproxy\n", String::new()),
            ("    maxconn 100000\n", "    maxconn 1000\n".to_owned()),
            ("bind :80\n", here(ports.redirect) + "\n"),
            ("bind :443", here(ports.edge)),
            ("bind :9443", here(ports.again)),
            ("bind :8081", here(ports.plain)),
            ("bind :8443", here(ports.through)),
            ("server one 127.0.0.1:8444", format!("server one 127.0.0.1:{}", ports.server_again)),
            ("server one 127.0.0.1:8445", format!("server one 127.0.0.1:{}", ports.server_through)),
            ("unix@/run/sockeye/", format!("unix@{at}/")),
            ("/etc/haproxy/chat.example.com.pem", format!("{at}/both.pem")),
            ("/etc/haproxy/sockeye-ca.pem", format!("{at}/ca.pem")),
            ("75s", patience.0.to_owned()),
        ],
    );
    fs::write(folder.join("haproxy.cfg"), text).unwrap();
}

pub(crate) fn caddy(folder: &Path, ports: &Ports) {
    let at = folder.display();
    let text = contributed(
        "caddy/Caddyfile",
        &[
            (":443 {", format!(":{} {{", ports.edge)),
            (":9443 {", format!(":{} {{", ports.again)),
            ("http://:8081", format!("http://:{}", ports.plain)),
            ("https://127.0.0.1:8444 {", format!("https://127.0.0.1:{} {{", ports.server_again)),
            ("unix//run/sockeye/", format!("unix/{at}/")),
            ("/etc/sockeye/", format!("{at}/")),
        ],
    );
    let general = format!(
        "{{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n\
         \tstorage file_system {at}\n}}\n"
    );
    fs::write(folder.join("Caddyfile"), general + &text).unwrap();
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

/// An authority and what it vouches for: `ca.pem`, `chain.pem`, `key.pem`, and both of these for HAProxy.
pub(crate) fn certificates(folder: &Path) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "the tests' authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec![NAME.to_owned()];
    let mut params = CertificateParams::new(names).unwrap();
    // OpenSSL takes a certificate that is named like its issuer for self-signed.
    params.distinguished_name.push(DnType::CommonName, NAME);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("ca.pem", &issuer.pem());
    write("chain.pem", &certificate.pem());
    write("key.pem", &key.serialize_pem());
    write("both.pem", &(certificate.pem() + &key.serialize_pem()));
    issuer.der().to_vec()
}

/// nginx's module for TCP, where Debian puts it.
pub(crate) fn stream_module() -> Option<PathBuf> {
    let module = PathBuf::from("/usr/lib/nginx/modules/ngx_stream_module.so");
    module.exists().then_some(module)
}
