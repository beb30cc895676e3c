/* A hash pipe spreads flows over its entries: the same flow always meets the same one, and the place can be computed. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(4, 0);
    struct doca_flow_match mask = { 0 };
    mask.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    mask.outer.ip4.src_ip = UINT32_MAX;
    mask.outer.l4_type_ext = DOCA_FLOW_L4_TYPE_EXT_UDP;
    mask.outer.udp.l4_port.src_port = UINT16_MAX;
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "spread", DOCA_FLOW_PIPE_HASH, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, NULL, &mask));
    OK(doca_flow_pipe_cfg_set_nr_entries(cfg, 3));
    struct doca_flow_pipe *none;
    RESULT(doca_flow_pipe_create(cfg, TO_PORT(0xffff), NULL, &none), DOCA_ERROR_INVALID_VALUE); /* no power of two */
    OK(doca_flow_pipe_cfg_set_nr_entries(cfg, 4));
    struct doca_flow_pipe *pipe = create(cfg, TO_PORT(0xffff), TO_DROP);
    for (uint32_t i = 0; i < 4; i++)
        OK(doca_flow_pipe_hash_add_entry(0, pipe, i, 0, NULL, NULL, TO_PORT((uint16_t)(i + 1)), 0, NULL,
                         NULL));
    RESULT(doca_flow_pipe_hash_add_entry(0, pipe, 4, 0, NULL, NULL, TO_PORT(1), 0, NULL, NULL), DOCA_ERROR_FULL);
    settle(port, 4);
    uint32_t seen = 0;
    for (uint16_t from = 1000; from < 1064; from++) {
        struct doca_flow_match packet = { 0 };
        packet.outer.ip4.src_ip = ip4("10.1.0.1");
        packet.outer.udp.l4_port.src_port = DOCA_HTOBE16(from);
        uint32_t hash;
        OK(doca_flow_pipe_calc_hash(pipe, &packet, &hash));
        PORT(1, udp4("10.1.0.1", "8.8.8.8", from, 1), (uint16_t)(hash % 4 + 1));
        PORT(1, udp4("10.1.0.1", "9.9.9.9", from, 2), (uint16_t)(hash % 4 + 1));
        seen |= 1u << hash % 4;
    }
    CHECK(seen == 15);
    down();
    return harness_done();
}
