/* hosts_fuzz: any bytes as resolv.conf and as a hosts file.
 *
 * Lives in: a fuzzer or the corpus replay. May: compute. */
#include "base/err.h"
#include "gate/hosts.h"
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hosts_servers servers;
    struct gate_addr found[4];
    char name[EGRESS_NAME_MAX], clean[EGRESS_NAME_MAX];
    size_t attempts = 0;

    hosts_read_servers((const char *)data, size, &servers);
    CHECK(servers.count >= 1 && servers.count <= HOSTS_SERVERS_MAX);
    for (size_t i = 0; i < servers.count; i++)
        CHECK(memchr(servers.zone[i], '\0', HOSTS_ZONE_MAX) &&
              (servers.at[i].size == 16 || !servers.zone[i][0]));
    for (; hosts_attempt(&servers, "a.b", attempts, name); attempts++)
        CHECK(egress_name_clean(name, strlen(name), clean) == 0);
    CHECK(attempts >= 1 && attempts <= HOSTS_SEARCH_MAX + 1);
    hosts_read_names((const char *)data, size);
    CHECK(hosts_find("allowed.test", found, 4) <= 4);
    return 0;
}
