/* sha1: the hash by which git names contents (FIPS 180-4). Nothing is protected by it here. */
#ifndef TREE_SHA1_H
#define TREE_SHA1_H

#include <stddef.h>

#define SHA1_HEX_SIZE 41

/* git's name of a file with these bytes: the hash of "blob SIZE\0BYTES". */
void sha1_blob(const void *bytes, size_t size, char ret[SHA1_HEX_SIZE]);
void sha1_bytes(const void *bytes, size_t size, char ret[SHA1_HEX_SIZE]);

#endif
