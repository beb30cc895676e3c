/* What the parser says about sound and unsound packets: fragments, lengths, checksums. Ports of a later fragment are nobody's. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(3, 0);
    struct doca_flow_match match = { 0 }, mask = { 0 };
    match.parser_meta.outer_ip_fragmented = match.parser_meta.outer_l3_ok = UINT8_MAX;
    match.parser_meta.outer_ip4_checksum_ok = match.parser_meta.outer_l4_ok = UINT8_MAX;
    match.parser_meta.outer_l4_checksum_ok = UINT8_MAX;
    match.parser_meta.outer_l4_type = (enum doca_flow_l4_meta)UINT32_MAX;
    mask = match;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "sound", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, &mask));
    struct doca_flow_pipe *pipe = create(cfg, EACH, TO_DROP);
    struct doca_flow_match entry = { 0 };
#define ADD(fragmented, l3, sum3, l4, sum4, type, out) \
    do { \
        entry.parser_meta.outer_ip_fragmented = fragmented; \
        entry.parser_meta.outer_l3_ok = l3; \
        entry.parser_meta.outer_ip4_checksum_ok = sum3; \
        entry.parser_meta.outer_l4_ok = l4; \
        entry.parser_meta.outer_l4_checksum_ok = sum4; \
        entry.parser_meta.outer_l4_type = type; \
        OK(doca_flow_pipe_basic_add_entry(0, pipe, &entry, 0, NULL, NULL, TO_PORT(out), 0, NULL, NULL)); \
    } while (0)
    ADD(0, 1, 1, 1, 1, DOCA_FLOW_L4_META_UDP, 0);
    ADD(1, 1, 1, 0, 0, DOCA_FLOW_L4_META_NONE, 2); /* a later fragment */
    ADD(0, 1, 0, 1, 1, DOCA_FLOW_L4_META_UDP, 3);  /* only the header's checksum is wrong */
    settle(port, 3);
    struct frame good = udp4("1.1.1.1", "2.2.2.2", 1, 2), frame;
    PORT(1, good, 0);
    frame = good;
    frame.octets[20] = 0x00;
    frame.octets[21] = 0x08;
    reseal(&frame);
    PORT(1, frame, 2);
    frame = good;
    frame.octets[24] ^= 1;
    PORT(1, frame, 3);
    frame = good;
    frame.octets[45] ^= 1; /* payload, so that the transport's is wrong */
    DROPS(1, frame);
    frame = good;
    frame.length -= 4; /* shorter than the header says */
    DROPS(1, frame);
    frame = good;
    frame.octets[14] = 0x44; /* a header of 16 octets */
    DROPS(1, frame);
    frame = good;
    frame.octets[39] = 7; /* UDP's own length, below a header's */
    DROPS(1, frame);
    frame = good;
    frame.length = 13;
    DROPS(1, frame);
    frame.length = 0;
    DROPS(1, frame);
    down();
    return harness_done();
}
