/* netlink: one batch of requests to the kernel's network configuration, and its answers. */
#ifndef ROOM_NETLINK_H
#define ROOM_NETLINK_H

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NL_SIZE = 16384 };

struct nl {
    _Alignas(8) unsigned char bytes[NL_SIZE];
    size_t len, message; /* message: where the one being written begins */
    uint32_t asked;      /* answers to expect */
    bool full;
};

void nl_init(struct nl *n);
void nl_begin(struct nl *n, uint16_t type, uint16_t flags, const void *head, size_t size);
void nl_put(struct nl *n, uint16_t type, const void *value, size_t size);
void nl_raw(struct nl *n, const void *value, size_t size); /* without a head, within a nest that begins so */
size_t nl_nest(struct nl *n, uint16_t type);
void nl_unnest(struct nl *n, size_t at);
void nl_end(struct nl *n);         /* an answer is wanted */
void nl_end_quietly(struct nl *n); /* none will come */

/* Sends all of it and reads every answer. 0, or the first error that the kernel told. */
int nl_talk(struct nl *n, int protocol);
int nl_talk_on(struct nl *n, int socket);

#endif
