#!/bin/sh
# Keys, a certificate, a TLS server and its client over loopback, signatures by ssh-keygen.
# needs: openssl ssh-keygen
set -eu
openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
openssl x509 -in cert -noout -subject
openssl s_server -accept 127.0.0.1:9443 -cert cert -key key -www -quiet >/dev/null 2>&1 &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    printf 'GET / HTTP/1.0\r\n\r\n' | timeout 10 openssl s_client -connect 127.0.0.1:9443 -CAfile cert -verify_return_error \
        -servername localhost -verify_hostname localhost -quiet -ign_eof >page 2>/dev/null && grep -q 200 page && break
    sleep 0.2
done
head -n 1 page | tr -d '\r'
python3 - <<'PYTHON'
import http.client, ssl
c = http.client.HTTPSConnection("localhost", 9443, timeout=10, context=ssl.create_default_context(cafile="cert"))
c.request("GET", "/")
print("https", c.getresponse().status)
PYTHON
kill $server
echo secret >plain
openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -in plain -out sealed && openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:x -in sealed
openssl dgst -sha256 -sign key -out signature plain && openssl x509 -in cert -pubkey -noout >public
openssl dgst -sha256 -verify public -signature signature plain
ssh-keygen -q -t ed25519 -N '' -C someone -f id && ssh-keygen -l -f id.pub | cut -d' ' -f1,3,4
ssh-keygen -q -Y sign -f id -n file plain 2>/dev/null
printf 'someone %s\n' "$(cut -d' ' -f1,2 id.pub)" >signers
ssh-keygen -Y verify -f signers -I someone -n file -s plain.sig <plain | cut -d' ' -f1-5
