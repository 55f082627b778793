/* gate_rule: nftables brings the room's connections to the gate's listeners, and refuses those that no rule could open.
 *
 * Theory of operation. One chain before routing. TCP to loopback, to the room's own addresses and to port 53 is none of
 * its business. A connection to an address that stands for a name, on a port that some name's rule opens, goes to the
 * listener (TPROXY); so does one to any address on a port that some address's rule opens. Nothing else can be allowed:
 * it gets a reset at once, so that the program sees "connection refused" and the gate no load, and the head of the
 * packet goes to the gate, which tells the denial; at most REFUSED_RATE a second, more are refused untold. Where the
 * kernel cannot do that, or rules may change while the room lives, every connection goes to the gate.
 *
 * Lives in: the room's pid 1, while it has every capability over its own namespaces. Trusts: the policy.
 * Must not: malloc, stdio. */
#include "room/gate_rule.h"
#include "room/netlink.h"
#include "sys/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* Constants of linux/netfilter.h, which musl's headers do not meet. */
enum { HOOK_PREROUTING = 0, PROTO_INET = 1, PROTO_V4 = 2, PROTO_V6 = 10, VERDICT_ACCEPT = 1 };
enum { PRIORITY_MANGLE = -150, RANGES_MAX = 48, REFUSED_GROUP = 57, REFUSED_RATE = 200, HEAD_SIZE = 96 };

static const uint8_t own4[4] = GATE_OWN4, own6[16] = GATE_OWN6, loop4[4] = {127, 0, 0, 1},
                     loop6[16] = {[15] = 1};
static const char table[] = "strongroom", chain[] = "gate";

/* --- ports that could be opened ------------------------------------------------------------------------------- */

/* In rising order, apart from each other. */
struct ranges {
    struct egress_ports at[RANGES_MAX];
    size_t count;
};

static void ranges_add(struct ranges *r, struct egress_ports x)
{
    size_t i = 0, end;
    while (i < r->count && r->at[i].to + 1 < x.from)
        i++;
    if (i < r->count && r->at[i].from <= x.from && r->at[i].to >= x.to)
        return; /* as nearly every rule of a long list */
    for (end = i; end < r->count && r->at[end].from <= x.to + 1; end++) {
        if (r->at[end].from < x.from)
            x.from = r->at[end].from;
        if (r->at[end].to > x.to)
            x.to = r->at[end].to;
    }
    if (end == i && r->count == RANGES_MAX) { /* too many to tell apart: the gate decides */
        r->at[0] = (struct egress_ports){1, 65535};
        r->count = 1;
        return;
    }
    memmove(r->at + i + 1, r->at + end, (r->count - end) * sizeof r->at[0]);
    r->at[i] = x;
    r->count = r->count + 1 - (end - i);
}

/* In one walk: a long list is larger than what processors keep at hand. */
static void ranges_of(const struct egress_rules *rules, struct ranges *ret_names,
                      struct ranges *ret_addresses)
{
    ret_names->count = ret_addresses->count = 0;
    for (size_t i = 0; i < rules->count; i++) {
        const struct egress_rule *x = &rules->rules[i];
        const bool name = x->kind == EGRESS_NAME || x->kind == EGRESS_BELOW;
        for (size_t k = 0; !x->deny && k < x->port_count; k++)
            ranges_add(name ? ret_names : ret_addresses, x->ports[k]);
    }
}

/* --- words of nftables ---------------------------------------------------------------------------------------- */

static void put_u32(struct nl *n, uint16_t type, uint32_t v)
{
    v = htonl(v);
    nl_put(n, type, &v, sizeof v);
}

static void put_u64(struct nl *n, uint16_t type, uint32_t low)
{
    const uint32_t v[2] = {0, htonl(low)};
    nl_put(n, type, v, sizeof v);
}

static void put_text(struct nl *n, uint16_t type, const char *s)
{
    nl_put(n, type, s, strlen(s) + 1);
}

/* One expression; its attributes come between open and close. */
struct nest {
    size_t elem, data;
};

static struct nest open_expr(struct nl *n, const char *name)
{
    struct nest at;
    at.elem = nl_nest(n, NFTA_LIST_ELEM);
    put_text(n, NFTA_EXPR_NAME, name);
    at.data = nl_nest(n, NFTA_EXPR_DATA);
    return at;
}

static void close_expr(struct nl *n, struct nest at)
{
    nl_unnest(n, at.data);
    nl_unnest(n, at.elem);
}

static void put_data(struct nl *n, uint16_t type, const void *value, size_t len)
{
    size_t at = nl_nest(n, type);
    nl_put(n, NFTA_DATA_VALUE, value, len);
    nl_unnest(n, at);
}

static void compare(struct nl *n, uint32_t op, const void *value, size_t len)
{
    struct nest at = open_expr(n, "cmp");
    put_u32(n, NFTA_CMP_SREG, NFT_REG_1);
    put_u32(n, NFTA_CMP_OP, op);
    put_data(n, NFTA_CMP_DATA, value, len);
    close_expr(n, at);
}

static void meta_is(struct nl *n, uint32_t key, uint8_t value)
{
    struct nest at = open_expr(n, "meta");
    put_u32(n, NFTA_META_DREG, NFT_REG_1);
    put_u32(n, NFTA_META_KEY, key);
    close_expr(n, at);
    compare(n, NFT_CMP_EQ, &value, 1);
}

static void load_packet(struct nl *n, uint32_t base, uint32_t offset, size_t len)
{
    struct nest at = open_expr(n, "payload");
    put_u32(n, NFTA_PAYLOAD_DREG, NFT_REG_1);
    put_u32(n, NFTA_PAYLOAD_BASE, base);
    put_u32(n, NFTA_PAYLOAD_OFFSET, offset);
    put_u32(n, NFTA_PAYLOAD_LEN, (uint32_t)len);
    close_expr(n, at);
}

static void load(struct nl *n, uint32_t reg, const void *value, size_t len)
{
    struct nest at = open_expr(n, "immediate");
    put_u32(n, NFTA_IMMEDIATE_DREG, reg);
    put_data(n, NFTA_IMMEDIATE_DATA, value, len);
    close_expr(n, at);
}

static void accept_it(struct nl *n)
{
    struct nest at = open_expr(n, "immediate");
    put_u32(n, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    size_t data = nl_nest(n, NFTA_IMMEDIATE_DATA), verdict = nl_nest(n, NFTA_DATA_VERDICT);
    put_u32(n, NFTA_VERDICT_CODE, VERDICT_ACCEPT);
    nl_unnest(n, verdict);
    nl_unnest(n, data);
    close_expr(n, at);
}

static void begin_nft(struct nl *n, unsigned type, unsigned flags)
{
    const struct nfgenmsg head = {.nfgen_family = PROTO_INET, .version = NFNETLINK_V0};
    nl_begin(n, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), (uint16_t)flags, &head, sizeof head);
}

/* --- sets of ports -------------------------------------------------------------------------------------------- */

enum { NAMES = 1, ADDRESSES }; /* the numbers of the sets in the batch */
static const char *const set_names[] = {[NAMES] = "names", [ADDRESSES] = "addresses"};

static void put_set(struct nl *n, uint32_t id)
{
    begin_nft(n, NFT_MSG_NEWSET, NLM_F_CREATE);
    put_text(n, NFTA_SET_TABLE, table);
    put_text(n, NFTA_SET_NAME, set_names[id]);
    put_u32(n, NFTA_SET_FLAGS, NFT_SET_INTERVAL);
    put_u32(n, NFTA_SET_KEY_TYPE, 13); /* a port, to the nft program */
    put_u32(n, NFTA_SET_KEY_LEN, 2);
    put_u32(n, NFTA_SET_ID, id);
    nl_end(n);
}

static void put_port(struct nl *n, uint16_t port, uint32_t flags)
{
    const uint16_t v = htons(port);
    size_t elem = nl_nest(n, NFTA_LIST_ELEM);
    if (flags)
        put_u32(n, NFTA_SET_ELEM_FLAGS, flags);
    put_data(n, NFTA_SET_ELEM_KEY, &v, sizeof v);
    nl_unnest(n, elem);
}

/* An interval is where it begins and, without that, where it ends; one that goes to the end has no end. */
static void put_ports(struct nl *n, uint32_t id, const struct ranges *r)
{
    if (r->count == 0)
        return;
    begin_nft(n, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
    put_text(n, NFTA_SET_ELEM_LIST_TABLE, table);
    put_text(n, NFTA_SET_ELEM_LIST_SET, set_names[id]);
    put_u32(n, NFTA_SET_ELEM_LIST_SET_ID, id);
    size_t list = nl_nest(n, NFTA_SET_ELEM_LIST_ELEMENTS);
    for (size_t i = 0; i < r->count; i++) {
        put_port(n, r->at[i].from, 0);
        if (r->at[i].to < 65535)
            put_port(n, (uint16_t)(r->at[i].to + 1), NFT_SET_ELEM_INTERVAL_END);
    }
    nl_unnest(n, list);
    nl_end(n);
}

static void port_is_in(struct nl *n, uint32_t id)
{
    load_packet(n, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
    struct nest at = open_expr(n, "lookup");
    put_text(n, NFTA_LOOKUP_SET, set_names[id]);
    put_u32(n, NFTA_LOOKUP_SET_ID, id);
    put_u32(n, NFTA_LOOKUP_SREG, NFT_REG_1);
    close_expr(n, at);
}

/* --- rules ---------------------------------------------------------------------------------------------------- */

/* TCP, not to loopback, not to the room's own address, not to port 53. Returns what end_rule() wants. */
static size_t begin_rule(struct nl *n, bool v6)
{
    const uint16_t dns = htons(53);
    begin_nft(n, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    put_text(n, NFTA_RULE_TABLE, table);
    put_text(n, NFTA_RULE_CHAIN, chain);
    size_t list = nl_nest(n, NFTA_RULE_EXPRESSIONS);
    meta_is(n, NFT_META_NFPROTO, v6 ? PROTO_V6 : PROTO_V4);
    meta_is(n, NFT_META_L4PROTO, IPPROTO_TCP);
    load_packet(n, NFT_PAYLOAD_NETWORK_HEADER, v6 ? 24 : 16, v6 ? sizeof loop6 : 1);
    compare(n, NFT_CMP_NEQ, v6 ? loop6 : loop4, v6 ? sizeof loop6 : 1);
    load_packet(n, NFT_PAYLOAD_NETWORK_HEADER, v6 ? 24 : 16, v6 ? sizeof own6 : sizeof own4);
    compare(n, NFT_CMP_NEQ, v6 ? own6 : own4, v6 ? sizeof own6 : sizeof own4);
    load_packet(n, NFT_PAYLOAD_TRANSPORT_HEADER, 2, sizeof dns);
    compare(n, NFT_CMP_NEQ, &dns, sizeof dns);
    return list;
}

static void end_rule(struct nl *n, size_t list)
{
    nl_unnest(n, list);
    nl_end(n);
}

/* The address is one that stands for a name: 198.18.0.0/15, fd57::/64. */
static void address_is_a_name(struct nl *n, bool v6)
{
    static const uint8_t mask[4] = {0xff, 0xfe}, zero[4], prefix4[4] = {198, 18};
    load_packet(n, NFT_PAYLOAD_NETWORK_HEADER, v6 ? 24 : 16, v6 ? 8 : 4);
    if (v6) {
        compare(n, NFT_CMP_EQ, own6, 8);
        return;
    }
    struct nest at = open_expr(n, "bitwise");
    put_u32(n, NFTA_BITWISE_SREG, NFT_REG_1);
    put_u32(n, NFTA_BITWISE_DREG, NFT_REG_1);
    put_u32(n, NFTA_BITWISE_LEN, sizeof mask);
    put_data(n, NFTA_BITWISE_MASK, mask, sizeof mask);
    put_data(n, NFTA_BITWISE_XOR, zero, sizeof zero);
    close_expr(n, at);
    compare(n, NFT_CMP_EQ, prefix4, sizeof prefix4);
}

static void to_listener(struct nl *n, bool v6, uint16_t port)
{
    port = htons(port);
    load(n, NFT_REG_1, v6 ? loop6 : loop4, v6 ? sizeof loop6 : sizeof loop4);
    load(n, NFT_REG_2, &port, sizeof port);
    struct nest at = open_expr(n, "tproxy");
    put_u32(n, NFTA_TPROXY_FAMILY, v6 ? PROTO_V6 : PROTO_V4);
    put_u32(n, NFTA_TPROXY_REG_ADDR, NFT_REG_1);
    put_u32(n, NFTA_TPROXY_REG_PORT, NFT_REG_2);
    close_expr(n, at);
    accept_it(n);
}

static void put_refusal(struct nl *n, bool v6)
{
    const uint16_t group = htons(REFUSED_GROUP), at_once = htons(1);
    size_t rule = begin_rule(n, v6);
    struct nest at = open_expr(n, "limit");
    put_u64(n, NFTA_LIMIT_RATE, REFUSED_RATE);
    put_u64(n, NFTA_LIMIT_UNIT, 1);
    put_u32(n, NFTA_LIMIT_BURST, REFUSED_RATE);
    put_u32(n, NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
    close_expr(n, at);
    at = open_expr(n, "log");
    nl_put(n, NFTA_LOG_GROUP, &group, sizeof group);
    put_u32(n, NFTA_LOG_SNAPLEN, HEAD_SIZE);
    nl_put(n, NFTA_LOG_QTHRESHOLD, &at_once, sizeof at_once);
    close_expr(n, at);
    end_rule(n, rule);
    rule = begin_rule(n, v6);
    at = open_expr(n, "reject");
    put_u32(n, NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
    close_expr(n, at);
    end_rule(n, rule);
}

static void put_family(struct nl *n, const struct gate_rule *g, bool v6, const struct ranges *names,
                       const struct ranges *addresses)
{
    const uint16_t port = v6 ? g->port6 : g->port4;
    size_t rule;
    if (!g->refuse) {
        rule = begin_rule(n, v6);
        to_listener(n, v6, port);
        end_rule(n, rule);
        return;
    }
    if (names->count > 0) {
        rule = begin_rule(n, v6);
        address_is_a_name(n, v6);
        port_is_in(n, NAMES);
        to_listener(n, v6, port);
        end_rule(n, rule);
    }
    if (addresses->count > 0) {
        rule = begin_rule(n, v6);
        port_is_in(n, ADDRESSES);
        to_listener(n, v6, port);
        end_rule(n, rule);
    }
    put_refusal(n, v6);
}

static void put_edge(struct nl *n, uint16_t type)
{
    const struct nfgenmsg head = {.version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES)};
    nl_begin(n, type, 0, &head, sizeof head);
    nl_end_quietly(n);
}

static void put_chain(struct nl *n)
{
    begin_nft(n, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    put_text(n, NFTA_TABLE_NAME, table);
    nl_end(n);
    begin_nft(n, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    put_text(n, NFTA_CHAIN_TABLE, table);
    put_text(n, NFTA_CHAIN_NAME, chain);
    size_t hook = nl_nest(n, NFTA_CHAIN_HOOK);
    put_u32(n, NFTA_HOOK_HOOKNUM, HOOK_PREROUTING);
    put_u32(n, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_MANGLE);
    nl_unnest(n, hook);
    put_text(n, NFTA_CHAIN_TYPE, "filter");
    nl_end(n);
}

int gate_rule_set(const struct gate_rule *g)
{
    struct ranges names = {.count = 0}, addresses = {.count = 0};
    struct nl n;
    nl_init(&n);
    put_edge(&n, NFNL_MSG_BATCH_BEGIN);
    put_chain(&n);
    if (g->refuse) {
        ranges_of(g->rules, &names, &addresses);
        put_set(&n, NAMES);
        put_ports(&n, NAMES, &names);
        put_set(&n, ADDRESSES);
        put_ports(&n, ADDRESSES, &addresses);
    }
    put_family(&n, g, false, &names, &addresses);
    if (g->port6)
        put_family(&n, g, true, &names, &addresses);
    put_edge(&n, NFNL_MSG_BATCH_END);
    return nl_talk(&n, NETLINK_NETFILTER);
}

/* --- what was refused ----------------------------------------------------------------------------------------- */

int gate_rule_refused(void)
{
    const struct nfgenmsg head = {.version = NFNETLINK_V0, .res_id = htons(REFUSED_GROUP)};
    const uint16_t type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
    const struct nfulnl_msg_config_cmd bind_it = {.command = NFULNL_CFG_CMD_BIND};
    const struct nfulnl_msg_config_mode mode = {.copy_range = htonl(HEAD_SIZE),
                                                .copy_mode = NFULNL_COPY_PACKET};
    struct nl n;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (fd < 0)
        return -errno;
    nl_init(&n);
    nl_begin(&n, type, 0, &head, sizeof head);
    nl_put(&n, NFULA_CFG_CMD, &bind_it, sizeof bind_it);
    nl_put(&n, NFULA_CFG_MODE, &mode, sizeof mode);
    nl_end(&n);
    int r = nl_talk_on(&n, fd);
    if (r == 0)
        return fd;
    fd_close(&fd);
    return r;
}
