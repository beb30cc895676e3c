/* A selector chooses where ports are looked for, and does not look at the protocol: without parser_meta, "TCP 443" is any
 * packet that has 443 in that place. A program for hardware must say both. */
#include "../harness.h"

static struct doca_flow_pipe *ports_pipe(struct doca_flow_port *port, const char *name, bool root, bool checked,
                     struct doca_flow_pipe *next)
{
    struct doca_flow_match match = { 0 };
    if (checked) {
        match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
        match.parser_meta.outer_l4_type = DOCA_FLOW_L4_META_TCP;
    }
    match.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TCP;
    match.outer.tcp.l4_port.dst_port = UINT16_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, name, DOCA_FLOW_PIPE_BASIC, root);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    struct doca_flow_pipe *pipe = create(cfg, checked ? TO_PORT(0) : TO_PORT(2), next ? TO_PIPE(next) : TO_DROP);
    struct doca_flow_match https = { 0 };
    https.outer.tcp.l4_port.dst_port = DOCA_HTOBE16(443);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &https, 0, NULL, NULL, NULL, 0, NULL, NULL));
    return pipe;
}

int main(void)
{
    struct doca_flow_port *port = up_switch(2, 0);
    struct doca_flow_pipe *loose = ports_pipe(port, "loose", false, false, NULL);
    ports_pipe(port, "checked", true, true, loose);
    settle(port, 2);
    PORT(1, tcp4("10.1.0.1", "8.8.8.8", 1, 443, 2), 0);
    /* What the checked pipe passes on, the loose one takes for HTTPS. */
    PORT(1, udp4("10.1.0.1", "8.8.8.8", 1, 443), 2);
    PORT(1, tcp6("fd09::2", "2a05:9::1", 1, 443), 2);
    DROPS(1, udp4("10.1.0.1", "8.8.8.8", 1, 444));
    /* ICMP's type and code stand where ports would: 443 is 0x01bb in type and code of the reply, and so on. */
    struct frame ping = icmp4("10.1.0.1", "8.8.8.8", 8);
    ping.octets[36] = 443 >> 8;
    ping.octets[37] = 443 & 255;
    PORT(1, ping, 2);
    down();
    return harness_done();
}
