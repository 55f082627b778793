/* hosts: the host's own words about names: /etc/resolv.conf and /etc/hosts. Pure: text in, tables out. */
#ifndef GATE_HOSTS_H
#define GATE_HOSTS_H

#include "gate/addr.h"
#include "gate/dns.h"

#define HOSTS_SERVERS_MAX 3
#define HOSTS_ENTRIES_MAX 1024

struct hosts_servers {
    size_t count;
    struct gate_addr at[HOSTS_SERVERS_MAX];
};

/* "nameserver" lines; lines that we do not know are passed over. None at all: 127.0.0.1, as resolv.conf(5) has it. */
void hosts_read_servers(const char *text, size_t len, struct hosts_servers *ret);

/* Lines of hosts(5), into the one static table. What is no address or no name is passed over. */
void hosts_read_names(const char *text, size_t len);

/* Addresses of `name` (clean); returns how many, at most `max`. */
size_t hosts_find(const char *name, struct gate_addr *ret, size_t max);

#endif
