/* VLAN tags: seen by the parser, matched, taken off and put on. */
#include "../harness.h"

int main(void)
{
    struct doca_flow_port *port = up_switch(2, 0);
    struct doca_flow_match match = { 0 };
    match.parser_meta.outer_l2_type = DOCA_FLOW_L2_META_SINGLE_VLAN;
    match.outer.l2_valid_headers = DOCA_FLOW_L2_VALID_HEADER_VLAN_0;
    match.outer.eth_vlan[0].tci = UINT16_MAX;
    struct doca_flow_actions pop = { .pop_vlan = true }, keep = { 0 }, *list[] = { &pop, &keep };
    /* "No tag" is 0, and 0 without a mask is "any": this one needs a mask. */
    struct doca_flow_match bare = { 0 }, bare_mask = { 0 };
    bare_mask.parser_meta.outer_l2_type = (enum doca_flow_l2_meta)UINT32_MAX;
    bare_mask.parser_meta.outer_l3_type = (enum doca_flow_l3_meta)UINT32_MAX;
    bare.parser_meta.outer_l2_type = DOCA_FLOW_L2_META_NO_VLAN;
    bare.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
    struct doca_flow_actions tag = { .has_push = true }, *tags[] = { &tag };
    tag.push.type = DOCA_FLOW_PUSH_ACTION_VLAN;
    tag.push.vlan.eth_type = DOCA_HTOBE16(DOCA_FLOW_ETHER_TYPE_VLAN);
    tag.push.vlan.vlan_hdr.tci = DOCA_HTOBE16(7);
    struct doca_flow_pipe_cfg *cfg = pipe_cfg(port, "bare", DOCA_FLOW_PIPE_BASIC, false);
    OK(doca_flow_pipe_cfg_set_match(cfg, &bare, &bare_mask));
    OK(doca_flow_pipe_cfg_set_actions(cfg, tags, NULL, NULL, 1));
    struct doca_flow_pipe *push = create(cfg, TO_PORT(2), TO_DROP);
    OK(doca_flow_pipe_basic_add_entry(0, push, &bare, 0, NULL, NULL, NULL, 0, NULL, NULL));
    cfg = pipe_cfg(port, "tagged", DOCA_FLOW_PIPE_BASIC, true);
    OK(doca_flow_pipe_cfg_set_match(cfg, &match, NULL));
    OK(doca_flow_pipe_cfg_set_actions(cfg, list, NULL, NULL, 2));
    struct doca_flow_pipe *pipe = create(cfg, TO_PORT(0), TO_PIPE(push));
    match.outer.eth_vlan[0].tci = DOCA_HTOBE16(7);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 0, NULL, NULL, NULL, 0, NULL, NULL));
    match.outer.eth_vlan[0].tci = DOCA_HTOBE16(8);
    OK(doca_flow_pipe_basic_add_entry(0, pipe, &match, 1, NULL, NULL, NULL, 0, NULL, NULL));
    settle(port, 3);

    struct frame plain = udp4("1.1.1.1", "2.2.2.2", 1, 2);
    const struct doca_emulator_result *out = PORT(1, tagged(plain, 7), 0);
    CHECK(out->length == plain.length && memcmp(out->frame, plain.octets, plain.length) == 0);
    struct frame eight = tagged(plain, 8), seven = tagged(plain, 7);
    out = PORT(1, eight, 0);
    CHECK(out->length == eight.length && memcmp(out->frame, eight.octets, eight.length) == 0);
    DROPS(1, tagged(plain, 9));
    DROPS(1, tagged(tagged(plain, 7), 7));
    out = PORT(1, plain, 2);
    CHECK(out->length == seven.length && memcmp(out->frame, seven.octets, seven.length) == 0);
    down();
    return harness_done();
}
