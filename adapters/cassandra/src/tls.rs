//! TLS by OpenSSL: chain and name are verified at each connection.
//!
//! The driver connects by address and has OpenSSL look for that address in the certificate. Most
//! certificates hold names instead, and nodes found through other nodes have no name that anyone has
//! given. So a certificate is good if its chain is, and it is made out to the node's address or to one
//! of the host names given: who holds a certificate for one of these is trusted to be the cluster.
//! The callback below sees the complaint about the address and looks for the names. Sessions are not
//! resumed, so that this is done at every connection.

use crate::failure::{Code, Failure};
use foreign_types::ForeignTypeRef;
use openssl::pkey::PKey;
use openssl::ssl::{SslContext, SslContextBuilder, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::{X509Ref, X509StoreContextRef, X509VerifyResult};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

pub struct TlsOptions<'a> {
    pub hosts: &'a str,
    pub verify: bool,
    pub ca_file: Option<&'a str>,
    pub cert_file: Option<&'a str>,
    pub key_file: Option<&'a str>,
}

/// Why the last certificate was turned down; empty at first.
pub type Complaint = Arc<Mutex<String>>;

fn failed(what: &str, why: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Tls, format!("{what}: {why}"))
}

pub fn context(options: &TlsOptions, complaint: &Complaint) -> Result<SslContextBuilder, Failure> {
    let mut context =
        SslContext::builder(SslMethod::tls_client()).map_err(|e| failed("OpenSSL", e))?;
    context
        .set_min_proto_version(Some(SslVersion::TLS1_2))
        .map_err(|e| failed("OpenSSL", e))?;
    if options.verify {
        trust(&mut context, options.ca_file)?;
        let names = host_names(options.hosts);
        let complaint = Arc::clone(complaint);
        context.set_verify_callback(SslVerifyMode::PEER, move |good, store| {
            good || is_for_one_of(&names, store) || complain(&complaint, store)
        });
    } else {
        context.set_verify(SslVerifyMode::NONE);
    }
    if let Some(certificate) = options.cert_file {
        present(
            &mut context,
            certificate,
            options.key_file.unwrap_or(certificate),
        )?;
    }
    Ok(context)
}

fn trust(context: &mut SslContextBuilder, ca_file: Option<&str>) -> Result<(), Failure> {
    match ca_file {
        Some(file) => context
            .set_ca_file(file)
            .map_err(|e| failed(&format!("the CA file {file} cannot be used"), e)),
        None => context
            .set_default_verify_paths()
            .map_err(|e| failed("the system's CA certificates cannot be used", e)),
    }
}

/// Our own certificate. A key under a pass phrase is an error, not a question on the terminal.
fn present(context: &mut SslContextBuilder, file: &str, key_file: &str) -> Result<(), Failure> {
    context
        .set_certificate_chain_file(file)
        .map_err(|e| failed(&format!("the certificate {file} cannot be used"), e))?;
    let bad_key =
        |e: &dyn std::fmt::Display| failed(&format!("the key {key_file} cannot be used"), e);
    let pem = std::fs::read(key_file).map_err(|e| bad_key(&e))?;
    let mut locked = false;
    let key = PKey::private_key_from_pem_callback(&pem, |_| {
        locked = true;
        Ok(0)
    });
    match key {
        _ if locked => Err(bad_key(&"it is under a pass phrase")),
        Err(e) => Err(bad_key(&e)),
        Ok(key) => context
            .set_private_key(&key)
            .and_then(|()| context.check_private_key())
            .map_err(|e| bad_key(&e)),
    }
}

/// The names among "host:port,host:port"; addresses are looked for by OpenSSL itself.
fn host_names(hosts: &str) -> Vec<String> {
    hosts
        .split(',')
        .map(str::trim)
        .filter(|host| !host.is_empty() && !host.starts_with('['))
        .map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name))
        .filter(|name| name.parse::<IpAddr>().is_err())
        .map(|name| name.trim_end_matches('.').to_owned())
        .collect()
}

fn is_for_one_of(names: &[String], store: &mut X509StoreContextRef) -> bool {
    // OpenSSL looks for the address after it has found the chain good.
    if store.error().as_raw() != openssl_sys::X509_V_ERR_IP_ADDRESS_MISMATCH
        || store.error_depth() != 0
    {
        return false;
    }
    let Some(certificate) = store.current_cert() else {
        return false;
    };
    let good = names.iter().any(|name| is_for(certificate, name));
    if good {
        store.set_error(X509VerifyResult::OK);
    }
    good
}

fn is_for(certificate: &X509Ref, name: &str) -> bool {
    unsafe {
        openssl_sys::X509_check_host(
            certificate.as_ptr(),
            name.as_ptr().cast(),
            name.len(),
            0,
            std::ptr::null_mut(),
        ) == 1
    }
}

fn complain(complaint: &Complaint, store: &X509StoreContextRef) -> bool {
    let subject = store
        .current_cert()
        .map_or_else(String::new, |certificate| {
            let mut entries = certificate.subject_name().entries();
            entries
                .next()
                .and_then(|entry| entry.data().to_string().ok())
                .map_or_else(String::new, |name| format!(" \"{name}\""))
        });
    let why = if store.error().as_raw() == openssl_sys::X509_V_ERR_IP_ADDRESS_MISMATCH {
        "it is made out neither to the node's address nor to one of the host names given"
    } else {
        store.error().error_string()
    };
    *complaint.lock().unwrap() =
        format!("the server's certificate{subject} is not accepted: {why}");
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::asn1::Asn1Time;
    use openssl::bn::BigNum;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::hash::MessageDigest;
    use openssl::nid::Nid;
    use openssl::pkey::Private;
    use openssl::ssl::{Ssl, SslStream};
    use openssl::x509::extension::SubjectAlternativeName;
    use openssl::x509::{X509Builder, X509NameBuilder, X509};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;

    fn options<'a>(hosts: &'a str, ca_file: Option<&'a str>) -> TlsOptions<'a> {
        TlsOptions {
            hosts,
            verify: true,
            ca_file,
            cert_file: None,
            key_file: None,
        }
    }

    #[test]
    fn names_among_the_hosts() {
        let hosts = "a.example:9042, b.example.:9042,10.0.0.1:9042,[::1]:9042,c.example,";
        assert_eq!(host_names(hosts), ["a.example", "b.example", "c.example"]);
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let no_ca = options("a.example:9042", Some("/nowhere/ca.pem"));
        let failure = context(&no_ca, &Complaint::default()).err().unwrap();
        assert_eq!(failure.code, Code::Tls);
        assert!(failure
            .text
            .starts_with("the CA file /nowhere/ca.pem cannot be used"));

        let server = Server::new("locked", "a.example", 0, 1);
        let locked = server.file("locked.key");
        let cipher = openssl::symm::Cipher::aes_128_cbc();
        let pem = server
            .key
            .private_key_to_pem_pkcs8_passphrase(cipher, b"secret")
            .unwrap();
        std::fs::write(&locked, pem).unwrap();
        let ca = server.certificate_file();
        let mut with_key = options("a.example:9042", None);
        with_key.cert_file = Some(&ca);
        with_key.key_file = locked.to_str();
        let failure = context(&with_key, &Complaint::default()).err().unwrap();
        assert_eq!(failure.code, Code::Tls);
        assert!(
            failure.text.ends_with("it is under a pass phrase"),
            "{}",
            failure.text
        );
    }

    /// A server whose certificate is its own authority, and the folder that this is in.
    struct Server {
        folder: PathBuf,
        key: PKey<Private>,
        certificate: X509,
    }

    impl Server {
        fn new(test: &str, name: &str, from_s: i64, days: i64) -> Server {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
            let mut subject = X509NameBuilder::new().unwrap();
            subject
                .append_entry_by_nid(Nid::COMMONNAME, "the server")
                .unwrap();
            let subject = subject.build();
            let mut builder = X509Builder::new().unwrap();
            builder.set_version(2).unwrap();
            builder
                .set_serial_number(&BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap())
                .unwrap();
            builder.set_subject_name(&subject).unwrap();
            builder.set_issuer_name(&subject).unwrap();
            builder.set_pubkey(&key).unwrap();
            let until_s = from_s + days * 86_400;
            builder
                .set_not_before(&Asn1Time::from_unix(from_s).unwrap())
                .unwrap();
            builder
                .set_not_after(&Asn1Time::from_unix(until_s).unwrap())
                .unwrap();
            let names = match name.parse::<IpAddr>() {
                Ok(_) => SubjectAlternativeName::new()
                    .ip(name)
                    .to_owned_extension(&builder),
                Err(_) => SubjectAlternativeName::new()
                    .dns(name)
                    .to_owned_extension(&builder),
            };
            builder.append_extension(names).unwrap();
            builder.sign(&key, MessageDigest::sha256()).unwrap();
            let folder =
                std::env::temp_dir().join(format!("freshet-tls-{test}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            let server = Server {
                folder,
                key,
                certificate: builder.build(),
            };
            std::fs::write(
                server.certificate_file(),
                server.certificate.to_pem().unwrap(),
            )
            .unwrap();
            server
        }

        fn now(test: &str, name: &str) -> Server {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            Server::new(test, name, now.unwrap().as_secs() as i64 - 3600, 2)
        }

        fn file(&self, name: &str) -> PathBuf {
            self.folder.join(name)
        }

        fn certificate_file(&self) -> String {
            self.file("certificate.pem").to_str().unwrap().to_owned()
        }

        /// A handshake as the driver does it at 127.0.0.1; the complaint if it fails.
        fn meet(&self, options: &TlsOptions) -> Result<(), String> {
            let mut ours = SslContext::builder(SslMethod::tls_server()).unwrap();
            ours.set_certificate(&self.certificate).unwrap();
            ours.set_private_key(&self.key).unwrap();
            let ours = Ssl::new(&ours.build()).unwrap();
            let (near, far) = UnixStream::pair().unwrap();
            let server = std::thread::spawn(move || {
                let mut stream = SslStream::new(ours, far).unwrap();
                if stream.accept().is_ok() {
                    let _ = stream.write_all(b"x");
                }
            });
            let complaint = Complaint::default();
            let theirs = context(options, &complaint).map_err(|e| e.text)?.build();
            let mut theirs = Ssl::new(&theirs).unwrap();
            theirs
                .param_mut()
                .set_ip("127.0.0.1".parse().unwrap())
                .unwrap();
            let mut stream = SslStream::new(theirs, near).unwrap();
            let met = stream.connect().and_then(|()| {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                assert_eq!(&byte, b"x");
                Ok(())
            });
            drop(stream);
            server.join().unwrap();
            let complaint = complaint.lock().unwrap().clone();
            met.map_err(|_| complaint)
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    trait Owned {
        fn to_owned_extension(&mut self, builder: &X509Builder) -> openssl::x509::X509Extension;
    }

    impl Owned for SubjectAlternativeName {
        fn to_owned_extension(&mut self, builder: &X509Builder) -> openssl::x509::X509Extension {
            self.build(&builder.x509v3_context(None, None)).unwrap()
        }
    }

    #[test]
    fn a_certificate_for_the_address() {
        let server = Server::now("address", "127.0.0.1");
        let ca = server.certificate_file();
        assert_eq!(server.meet(&options("127.0.0.1:9042", Some(&ca))), Ok(()));
        let server = Server::now("address2", "127.0.0.2");
        let ca = server.certificate_file();
        let complaint = server
            .meet(&options("127.0.0.1:9042", Some(&ca)))
            .unwrap_err();
        assert!(
            complaint.contains("neither to the node's address nor"),
            "{complaint}"
        );
        assert!(complaint.contains("\"the server\""), "{complaint}");
    }

    #[test]
    fn a_certificate_for_a_name_given() {
        let server = Server::now("name", "db.example");
        let ca = server.certificate_file();
        assert_eq!(
            server.meet(&options("other.example:9042,db.example:9042", Some(&ca))),
            Ok(())
        );
        let complaint = server
            .meet(&options("other.example:9042", Some(&ca)))
            .unwrap_err();
        assert!(
            complaint.contains("nor to one of the host names given"),
            "{complaint}"
        );
        let wild = Server::now("wild", "*.shop.example");
        let ca = wild.certificate_file();
        assert_eq!(
            wild.meet(&options("db.shop.example:9042", Some(&ca))),
            Ok(())
        );
        wild.meet(&options("a.db.shop.example:9042", Some(&ca)))
            .unwrap_err();
    }

    /// The right name is no excuse for anything else.
    #[test]
    fn another_authority_and_another_time() {
        let server = Server::now("authority", "db.example");
        let other = Server::now("authority2", "db.example");
        let ca = other.certificate_file();
        let complaint = server
            .meet(&options("db.example:9042", Some(&ca)))
            .unwrap_err();
        assert!(complaint.contains("is not accepted"), "{complaint}");

        let expired = Server::new("expired", "db.example", 1_600_000_000, 1);
        let ca = expired.certificate_file();
        let complaint = expired
            .meet(&options("db.example:9042", Some(&ca)))
            .unwrap_err();
        assert!(complaint.contains("expired"), "{complaint}");

        let mut trusting = options("other.example:9042", None);
        trusting.verify = false;
        assert_eq!(expired.meet(&trusting), Ok(()));
    }
}
