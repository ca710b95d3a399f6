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
use scylla::client::session::OpenSsl010Config;
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

pub fn context(options: &TlsOptions, complaint: &Complaint) -> Result<OpenSsl010Config, Failure> {
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
        present(&mut context, certificate, options.key_file.unwrap_or(certificate))?;
    }
    Ok(OpenSsl010Config::from_dangerous_builder(context).set_use_tls_tickets(false))
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
    let bad_key = |e: &dyn std::fmt::Display| failed(&format!("the key {key_file} cannot be used"), e);
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
    if store.error().as_raw() != openssl_sys::X509_V_ERR_IP_ADDRESS_MISMATCH || store.error_depth() != 0 {
        return false;
    }
    let Some(certificate) = store.current_cert() else { return false };
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
    let subject = store.current_cert().map_or_else(String::new, |certificate| {
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
    *complaint.lock().unwrap() = format!("the server's certificate{subject} is not accepted: {why}");
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_among_the_hosts() {
        let hosts = "a.example:9042, b.example.:9042,10.0.0.1:9042,[::1]:9042,c.example,";
        assert_eq!(host_names(hosts), ["a.example", "b.example", "c.example"]);
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let options = TlsOptions {
            hosts: "a.example:9042",
            verify: true,
            ca_file: Some("/nowhere/ca.pem"),
            cert_file: None,
            key_file: None,
        };
        let failure = context(&options, &Complaint::default()).err().unwrap();
        assert_eq!(failure.code, Code::Tls);
        assert!(failure.text.starts_with("the CA file /nowhere/ca.pem cannot be used"));
    }
}
