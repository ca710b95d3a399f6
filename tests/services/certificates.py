"""Certificates for a test, made by openssl when the test runs: nothing secret is in the repository.

make(folder) fills the folder with

    ca.pem                      the authority that signed all of the following but wrong-ca
    other-ca.pem                another authority, which signed wrong-ca
    right.pem, right.key        a server at 127.0.0.1, 127.0.0.2, 127.0.0.3 and localhost
    wrong-ca.pem, .key          the same, but signed by the other authority
    expired.pem, .key           the same, but its time is over
    wrong-host.pem, .key        a server called elsewhere.test
    client.pem, client.key      a client

and for each of the servers NAME.p12, a PKCS#12 key store, and NAME-store.pem, key and certificates in one
file. The password of the key stores is PASSWORD.
"""

import os
import shutil
import subprocess

PASSWORD = "changeit"

HERE = "IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3,DNS:localhost"

CA_CONFIG = """\
[ca]
default_ca = ca_default
[ca_default]
database = {aside}/{name}.index
new_certs_dir = {aside}
default_md = sha256
policy = policy
unique_subject = no
rand_serial = yes
[policy]
commonName = supplied
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = ${{ENV::SUBJECT_ALT_NAME}}
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
"""


def openssl(*args, **env):
    done = subprocess.run(["openssl", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False,
                          env=dict(os.environ, SUBJECT_ALT_NAME=env.get("names", HERE)))
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(args)} failed:\n{done.stdout}")


def make(folder):
    aside = os.path.join(folder, "aside")  # what openssl leaves behind
    os.makedirs(aside)

    def path(name):
        return os.path.join(folder, name)

    def authority(name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", path(name + ".key"), "-out", path(name + ".pem"), "-days", "30", "-subj", f"/CN=Freshet test {name}",
                "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        with open(os.path.join(aside, name + ".cnf"), "w", encoding="utf-8") as file:
            file.write(CA_CONFIG.format(aside=aside, name=name))
        with open(os.path.join(aside, name + ".index"), "w", encoding="ascii"):
            pass

    def certificate(name, subject, extensions, ca="ca", until=None, names=HERE):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path(name + ".key"),
                "-out", os.path.join(aside, name + ".csr"), "-subj", f"/CN={subject}")
        times = ["-days", "20"] if until is None else ["-startdate", "20200101000000Z", "-enddate", until]
        openssl("ca", "-batch", "-notext", "-config", os.path.join(aside, ca + ".cnf"), "-cert", path(ca + ".pem"),
                "-keyfile", path(ca + ".key"), "-in", os.path.join(aside, name + ".csr"),
                "-out", path(name + ".pem"), "-extensions", extensions, *times, names=names)

    def stores(name, ca="ca"):
        openssl("pkcs12", "-export", "-name", "server", "-inkey", path(name + ".key"), "-in",
                path(name + ".pem"), "-certfile", path(ca + ".pem"), "-passout", "pass:" + PASSWORD,
                "-out", path(name + ".p12"))
        with open(path(name + "-store.pem"), "w", encoding="ascii") as store:
            for part in (name + ".key", name + ".pem", ca + ".pem"):
                with open(path(part), encoding="ascii") as file:
                    store.write(file.read())

    authority("ca")
    authority("other-ca")
    certificate("right", "127.0.0.1", "server")
    certificate("wrong-ca", "127.0.0.1", "server", ca="other-ca")
    certificate("expired", "127.0.0.1", "server", until="20210101000000Z")
    certificate("wrong-host", "elsewhere.test", "server", names="DNS:elsewhere.test")
    certificate("client", "client", "client")
    for name in ("right", "expired", "wrong-host"):
        stores(name)
    stores("wrong-ca", "other-ca")
    shutil.rmtree(aside)
