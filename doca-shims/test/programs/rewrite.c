/* A pipe rewrites addresses, ports and MACs: some values are the pipe's, some each entry's; checksums come out right, and a mask
 * changes only the bits it names. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(1, 0);
    struct doca_flow_match match = { 0 };
    match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.dst_ip = UINT32_MAX;
    struct doca_flow_actions nat = { 0 }, mark = { 0 }, mark_mask = { 0 };
    nat.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    nat.outer.ip4.src_ip = UINT32_MAX;
    nat.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_TRANSPORT;
    nat.outer.transport.dst_port = DOCA_HTOBE16(8443);
    memcpy(nat.outer.eth.dst_mac, (uint8_t[]){ 2, 0, 0, 0, 0, 9 }, 6);
    mark.outer.l3_type = mark_mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    mark.outer.ip4.dscp_ecn = 0xb8;
    mark_mask.outer.ip4.dscp_ecn = 0xfc;
    struct doca_flow_actions *actions[] = { &nat, &mark }, *masks[] = { NULL, &mark_mask };
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "rewrite", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    OK(doca_flow_pipe_cfg_set_actions(cfg, actions, masks, NULL, 2));
    struct doca_flow_pipe *pipe = create(cfg, TO_PORT(0), TO_DROP);
    struct doca_flow_actions mine = { 0 };
    mine.outer.ip4.src_ip = ip4("198.51.100.7");
    match.outer.ip4.dst_ip = ip4("8.8.8.8");
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, &mine, NULL, NULL, 0, NULL, NULL));
    match.outer.ip4.dst_ip = ip4("8.8.4.4");
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 1, &mine, NULL, NULL, 0, NULL, NULL));
    settle(port, 2);

    struct frame wanted = tcp4("198.51.100.7", "8.8.8.8", 1000, 8443, 2);
    memcpy(wanted.octets, (uint8_t[]){ 2, 0, 0, 0, 0, 9 }, 6);
    const struct doca_emulator_result *out = PORT(1, tcp4("10.1.0.1", "8.8.8.8", 1000, 443, 2), 0);
    CHECK(out->length == wanted.length && memcmp(out->frame, wanted.octets, wanted.length) == 0);
    wanted = udp4("198.51.100.7", "8.8.8.8", 1000, 8443);
    memcpy(wanted.octets, (uint8_t[]){ 2, 0, 0, 0, 0, 9 }, 6);
    out = PORT(1, udp4("10.1.0.1", "8.8.8.8", 1000, 53), 0);
    CHECK(memcmp(out->frame, wanted.octets, wanted.length) == 0);
    /* ICMP has no ports: they stay what they are. */
    out = PORT(1, icmp4("10.1.0.1", "8.8.8.8", 8), 0);
    CHECK(out->frame[34] == 8 && out->frame[38] == 0 && out->frame[39] == 77);

    struct frame congested = udp4("10.1.0.1", "8.8.4.4", 1, 2);
    congested.octets[15] = 0x03;
    reseal(&congested);
    out = PORT(1, congested, 0);
    CHECK(out->frame[15] == 0xbb);
    congested.octets[15] = 0xbb;
    reseal(&congested);
    CHECK(memcmp(out->frame, congested.octets, congested.length) == 0);
    down();
    return harness_done();
}
