/* ca: the room's own certificate authority.
 *
 * One key pair (P-256) signs; another one belongs to all certificates for names, so that a new name costs
 * one signature.
 * Certificates are kept in a table of fixed size, in which a new one takes the oldest one's place.
 *
 * Lives in: strongroom-intercept. Trusts: OpenSSL. Must not: let a key leave this process. */
#include "helpers/intercept/ca.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

#define LEAVES_MAX 128
#define DAYS       397
#define BACK_S     86400 /* a clock in the room or on a client may be behind */

static EVP_PKEY *ca_key, *leaf_key;
static X509 *ca_cert;
static struct {
    char name[GATE_NAME_MAX];
    X509 *cert;
} leaves[LEAVES_MAX];
static size_t next_leaf;

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    int ok = e != NULL && X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
    return ok;
}

static X509 *new_cert(const char *name, EVP_PKEY *key)
{
    X509 *c = X509_new();
    unsigned char serial[16];
    char cn[64 + 1]; /* the bound of X.520; the whole name stands among the alternative names */

    if (c == NULL || RAND_bytes(serial, sizeof serial) != 1)
        return NULL;
    serial[0] &= 0x7f;
    size_t len = strnlen(name, sizeof cn - 1);
    memcpy(cn, name, len);
    cn[len] = '\0';
    BIGNUM *n = BN_bin2bn(serial, sizeof serial, NULL);
    X509_NAME *subject = X509_get_subject_name(c);
    int ok = n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(c)) != NULL && X509_set_version(c, 2) &&
             X509_gmtime_adj(X509_getm_notBefore(c), -BACK_S) != NULL &&
             X509_gmtime_adj(X509_getm_notAfter(c), (long)DAYS * 86400) != NULL && X509_set_pubkey(c, key) &&
             X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"strongroom", -1,
                                        -1, 0) &&
             X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    BN_free(n);
    if (!ok) {
        X509_free(c);
        return NULL;
    }
    return c;
}

static int describe(struct hand_ca *ret)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    BIO *mem = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (mem == NULL || !PEM_write_bio_X509(mem, ca_cert) || !X509_digest(ca_cert, EVP_sha256(), digest, &len))
        return -1;
    long size = BIO_get_mem_data(mem, &text);
    if (size <= 0 || size >= HAND_PEM_MAX)
        return -1;
    *ret = (struct hand_ca){.type = HAND_CA, .version = GATE_FRAMES_VERSION};
    memcpy(ret->pem, text, (size_t)size);
    (void)snprintf(ret->hash, sizeof ret->hash, "%08lx", X509_subject_name_hash(ca_cert));
    for (unsigned i = 0; i < len && i < 32; i++)
        (void)snprintf(ret->print + i * 2, 3, "%02x", digest[i]);
    BIO_free(mem);
    return 0;
}

int ca_open(struct hand_ca *ret)
{
    ca_key = EVP_EC_gen("P-256");
    leaf_key = EVP_EC_gen("P-256");
    ca_cert = ca_key != NULL && leaf_key != NULL ? new_cert("authority of one room", ca_key) : NULL;
    if (ca_cert == NULL || !X509_set_issuer_name(ca_cert, X509_get_subject_name(ca_cert)) ||
        !add_extension(ca_cert, ca_cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(ca_cert, ca_cert, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(ca_cert, ca_cert, NID_subject_key_identifier, "hash") ||
        !X509_sign(ca_cert, ca_key, EVP_sha256()))
        return -1;
    return describe(ret);
}

static X509 *make_leaf(const char *name)
{
    char alternative[GATE_NAME_MAX + 8];
    X509 *c = new_cert(name, leaf_key);

    (void)snprintf(alternative, sizeof alternative, "DNS:%s", name);
    if (c != NULL && (!X509_set_issuer_name(c, X509_get_subject_name(ca_cert)) ||
                      !add_extension(c, ca_cert, NID_basic_constraints, "critical,CA:FALSE") ||
                      !add_extension(c, ca_cert, NID_key_usage, "critical,digitalSignature") ||
                      !add_extension(c, ca_cert, NID_ext_key_usage, "serverAuth") ||
                      !add_extension(c, ca_cert, NID_subject_key_identifier, "hash") ||
                      !add_extension(c, ca_cert, NID_authority_key_identifier, "keyid:always") ||
                      !add_extension(c, ca_cert, NID_subject_alt_name, alternative) ||
                      !X509_sign(c, ca_key, EVP_sha256()))) {
        X509_free(c);
        return NULL;
    }
    return c;
}

X509 *ca_leaf(const char *name)
{
    for (size_t i = 0; i < LEAVES_MAX; i++) {
        if (leaves[i].cert != NULL && strcmp(leaves[i].name, name) == 0 &&
            X509_cmp_current_time(X509_get0_notAfter(leaves[i].cert)) > 0)
            return leaves[i].cert;
    }
    X509 *c = make_leaf(name);
    if (c == NULL)
        return NULL;
    X509_free(leaves[next_leaf].cert); /* connections that use it hold it themselves */
    leaves[next_leaf].cert = c;
    (void)snprintf(leaves[next_leaf].name, sizeof leaves[next_leaf].name, "%s", name);
    next_leaf = (next_leaf + 1) % LEAVES_MAX;
    return c;
}

EVP_PKEY *ca_leaf_key(void)
{
    return leaf_key;
}
