/* An LPM pipe keeps notes in the first scratch word: a value that was written there before is gone behind it, the second word
 * is left alone. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(2, 0);
    struct doca_flow_pipe *behind[2];
    for (int word = 0; word < 2; word++) {
        struct doca_flow_match match = { 0 }, mask = { 0 };
        match.meta.u32[word] = DOCA_HTOBE32(5);
        mask.meta.u32[word] = UINT32_MAX;
        struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "behind", DOCA_FLOW_PIPE_BASIC, false);
        OK(doca_flow_pipe_cfg_set_match(cfg, &match, &mask));
        behind[word] = create(cfg, TO_PORT((uint16_t)(word * 2)), TO_DROP);
        OK(doca_flow_pipe_basic_add_entry(0, behind[word], &match, 0, NULL, NULL, NULL, 0, NULL, NULL));
    }
    struct doca_flow_match match = { 0 }, mask = { 0 };
    match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
    match.outer.ip4.dst_ip = UINT32_MAX;
    struct doca_flow_actions none = { 0 }, *list[] = { &none };
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "lpm", DOCA_FLOW_PIPE_LPM, false);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    OK(doca_flow_pipe_cfg_set_actions(cfg, list, NULL, NULL, 1));
    struct doca_flow_pipe *lpm = create(cfg, EACH, TO_DROP);
    match.outer.ip4.dst_ip = ip4("10.0.0.0");
    mask.outer.ip4.dst_ip = ip4("255.0.0.0");
    OK(doca_flow_pipe_lpm_add_entry(0, lpm, &match, &mask, 0, NULL, NULL, TO_PIPE(behind[0]), 0, NULL, NULL));
    match.outer.ip4.dst_ip = ip4("11.0.0.0");
    OK(doca_flow_pipe_lpm_add_entry(0, lpm, &match, &mask, 0, NULL, NULL, TO_PIPE(behind[1]), 0, NULL, NULL));
    struct doca_flow_match v4 = { 0 };
    v4.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    struct doca_flow_actions five = { 0 }, *fives[] = { &five };
    five.meta.u32[0] = five.meta.u32[1] = DOCA_HTOBE32(5);
    cfg = pipe_cfg(port, "front", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &v4, NULL));
    OK(doca_flow_pipe_cfg_set_actions(cfg, fives, NULL, NULL, 1));
    struct doca_flow_pipe *front = create(cfg, TO_PIPE(lpm), TO_DROP);
    OK(doca_flow_pipe_basic_add_entry(0, front, &v4, 0, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 5);
    DROPS(1, udp4("9.9.9.9", "10.0.0.1", 1, 2));
    PORT(1, udp4("9.9.9.9", "11.0.0.1", 1, 2), 2);
    down();
    return harness_done();
}
