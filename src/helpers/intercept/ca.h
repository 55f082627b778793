/* ca: the room's own certificate authority, and the certificates that it gives to names. */
#ifndef INTERCEPT_CA_H
#define INTERCEPT_CA_H

#include "gate/hand.h"

#include <openssl/x509.h>

/* Makes the key (which never leaves this process) and fills `ret` with the certificate. 0 or -1. */
int ca_open(struct hand_ca *ret);

/* The certificate for a name, which stays ours until the next call, and the key that goes with all of them. */
X509 *ca_leaf(const char *name);
EVP_PKEY *ca_leaf_key(void);

#endif
