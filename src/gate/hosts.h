/* hosts: the host's own words about names: /etc/resolv.conf and /etc/hosts. Pure: text in, tables out. */
#ifndef GATE_HOSTS_H
#define GATE_HOSTS_H

#include "gate/addr.h"
#include "gate/dns.h"
#include "policy/egress.h"

#define HOSTS_SERVERS_MAX 3
#define HOSTS_SEARCH_MAX  6
#define HOSTS_NDOTS_MAX   15
#define HOSTS_ENTRIES_MAX 1024
#define HOSTS_ZONE_MAX    16 /* = IF_NAMESIZE */

struct hosts_servers {
    size_t count;
    struct gate_addr at[HOSTS_SERVERS_MAX];
    char zone[HOSTS_SERVERS_MAX][HOSTS_ZONE_MAX]; /* the interface behind a "%": its name or number; "" */
    size_t search_count;
    char search[HOSTS_SEARCH_MAX][EGRESS_NAME_MAX]; /* clean */
    unsigned ndots; /* names with fewer dots are looked up below these first */
};

/* Lines "nameserver", "search" (or "domain"; the last of them counts) and "options ndots:N"; others are passed over. No
 * server at all: 127.0.0.1, as resolv.conf(5) has it. */
void hosts_read_servers(const char *text, size_t len, struct hosts_servers *ret);

/* Lines of hosts(5), into the one static table. What is no address or no name is passed over. */
void hosts_read_names(const char *text, size_t len);

/* The name to look up instead of `name` in attempt number `at`: below each domain of the search list, where it has few
 * dots, and at last as it is. False: there is no further attempt. */
bool hosts_attempt(const struct hosts_servers *s, const char *name, size_t at, char ret[EGRESS_NAME_MAX]);

/* Addresses of `name` (clean); returns how many, at most `max`. */
size_t hosts_find(const char *name, struct gate_addr *ret, size_t max);

#endif
