"""Read at each start of the private interpreter: its OpenSSL knows Debian's place of trusted certificates only."""

import os

for bundle in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"):
    if os.path.exists(bundle):
        os.environ.setdefault("SSL_CERT_FILE", bundle)
        break
