/* Back to the kernel: as an entry's forward, as a miss, and as what the switch does with what its root does not know. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(1, 4);
    struct doca_flow_target *kernel;
    OK(doca_flow_get_target(DOCA_FLOW_TARGET_KERNEL, &kernel));
    struct doca_flow_fwd to_kernel = { .type = DOCA_FLOW_FWD_TARGET, .target = kernel };
    DROPS(1, arp()); /* an empty pipeline drops */
    struct doca_flow_match match = { 0 };
    match.outer.eth.type = UINT16_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "types", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *pipe = create(cfg, EACH, NULL);
    match.outer.eth.type = DOCA_HTOBE16(DOCA_FLOW_ETHER_TYPE_ARP);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, &to_kernel, 0, NULL, NULL));
    match.outer.eth.type = DOCA_HTOBE16(DOCA_FLOW_ETHER_TYPE_IPV6);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, TO_PORT(0), 0, NULL, NULL));
    settle(port, 2);
    struct frame other = udp4("1.1.1.1", "2.2.2.2", 1, 2);
    KERNEL(1, arp());
    PORT(1, tcp6("fd09::2", "2a05:9::1", 1, 2), 0);
    /* No miss: the switch's default, which is the kernel until it is said otherwise. */
    KERNEL(1, other);
    OK(doca_flow_port_update_default_miss(port, DOCA_FLOW_PORT_DEFAULT_MISS_DROP, true));
    DROPS(1, other);
    struct doca_flow_resource_query query;
    doca_emulator_advance(1000);
    OK(doca_flow_port_query_default_miss(port, &query));
    CHECK(query.counter.total_pkts == 1);
    OK(doca_flow_pipe_update_miss(pipe, &to_kernel));
    KERNEL(1, other);
    OK(doca_flow_pipe_update_miss(pipe, TO_DROP));
    DROPS(1, other);
    down();
    return harness_done();
}
