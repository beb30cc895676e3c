/* Protocol numbers and header layouts that matches and actions are made of. All multi-octet fields are in network order. */
#ifndef DOCA_FLOW_NET_H_
#define DOCA_FLOW_NET_H_

#include "doca_types.h"

#define DOCA_FLOW_ETHER_ADDR_LEN 6
#define DOCA_FLOW_VLAN_MAX 2

#define DOCA_FLOW_PROTO_ICMP 1
#define DOCA_FLOW_PROTO_IPV4 4
#define DOCA_FLOW_PROTO_TCP 6
#define DOCA_FLOW_PROTO_UDP 17
#define DOCA_FLOW_PROTO_IPV6 41
#define DOCA_FLOW_PROTO_GRE 47
#define DOCA_FLOW_PROTO_ESP 50
#define DOCA_FLOW_PROTO_ICMP6 58

#define DOCA_FLOW_ETHER_TYPE_IPV4 0x0800
#define DOCA_FLOW_ETHER_TYPE_ARP 0x0806
#define DOCA_FLOW_ETHER_TYPE_TEB 0x6558
#define DOCA_FLOW_ETHER_TYPE_VLAN 0x8100
#define DOCA_FLOW_ETHER_TYPE_IPV6 0x86DD
#define DOCA_FLOW_ETHER_TYPE_QINQ 0x88A8

#define DOCA_FLOW_VXLAN_DEFAULT_PORT 4789
#define DOCA_FLOW_ROCEV2_DEFAULT_PORT 4791
#define DOCA_FLOW_IP4_FLAG_MORE_FRAGMENTS (1 << 13)
#define DOCA_FLOW_IP4_FLAG_DONT_FRAGMENT (1 << 14)

enum doca_flow_l3_type {
    DOCA_FLOW_L3_TYPE_NONE = 0,
    DOCA_FLOW_L3_TYPE_IP4 = 1,
    DOCA_FLOW_L3_TYPE_IP6 = 2,
};

enum doca_flow_l4_type_ext {
    DOCA_FLOW_L4_TYPE_EXT_NONE = 0,
    DOCA_FLOW_L4_TYPE_EXT_TCP = 1,
    DOCA_FLOW_L4_TYPE_EXT_UDP = 2,
    DOCA_FLOW_L4_TYPE_EXT_ICMP = 3,
    DOCA_FLOW_L4_TYPE_EXT_ICMP6 = 4,
    DOCA_FLOW_L4_TYPE_EXT_TRANSPORT = 5,
    DOCA_FLOW_L4_TYPE_EXT_ROCE_V2 = 6,
};

enum doca_flow_tun_type {
    DOCA_FLOW_TUN_NONE = 0,
    DOCA_FLOW_TUN_VXLAN = 1,
    DOCA_FLOW_TUN_GTPU = 2,
    DOCA_FLOW_TUN_GRE = 3,
    DOCA_FLOW_TUN_ESP = 4,
    DOCA_FLOW_TUN_MPLS_O_UDP = 5,
    DOCA_FLOW_TUN_GENEVE = 6,
    DOCA_FLOW_TUN_PSP = 7,
    DOCA_FLOW_TUN_IP_IN_IP = 8,
};

enum doca_flow_l2_valid_header {
    DOCA_FLOW_L2_VALID_HEADER_VLAN_0 = 1,
    DOCA_FLOW_L2_VALID_HEADER_VLAN_1 = 2,
};

enum doca_flow_match_tcp_flags {
    DOCA_FLOW_MATCH_TCP_FLAG_FIN = 1,
    DOCA_FLOW_MATCH_TCP_FLAG_SYN = 2,
    DOCA_FLOW_MATCH_TCP_FLAG_RST = 4,
    DOCA_FLOW_MATCH_TCP_FLAG_PSH = 8,
    DOCA_FLOW_MATCH_TCP_FLAG_ACK = 16,
    DOCA_FLOW_MATCH_TCP_FLAG_URG = 32,
    DOCA_FLOW_MATCH_TCP_FLAG_ECE = 64,
    DOCA_FLOW_MATCH_TCP_FLAG_CWR = 128,
};

struct doca_flow_header_eth {
    uint8_t src_mac[DOCA_FLOW_ETHER_ADDR_LEN];
    uint8_t dst_mac[DOCA_FLOW_ETHER_ADDR_LEN];
    doca_be16_t type;
};

struct doca_flow_header_eth_vlan {
    doca_be16_t tci;
};

struct doca_flow_header_ip4 {
    doca_be32_t src_ip;
    doca_be32_t dst_ip;
    uint8_t version_ihl;
    uint8_t dscp_ecn;
    doca_be16_t total_len;
    doca_be16_t identification;
    doca_be16_t flags_fragment_offset;
    uint8_t next_proto;
    uint8_t ttl;
};

struct doca_flow_header_ip6 {
    doca_be32_t src_ip[4];
    doca_be32_t dst_ip[4];
    uint8_t traffic_class;
    doca_be32_t flow_label;
    doca_be16_t payload_len;
    uint8_t next_proto;
    uint8_t hop_limit;
};

struct doca_flow_header_l4_port {
    doca_be16_t src_port;
    doca_be16_t dst_port;
};

struct doca_flow_header_tcp {
    struct doca_flow_header_l4_port l4_port;
    uint8_t data_offset;
    uint8_t flags;
    doca_be32_t seq_num;
    doca_be32_t ack_num;
};

struct doca_flow_header_udp {
    struct doca_flow_header_l4_port l4_port;
};

struct doca_flow_header_icmp {
    uint8_t type;
    uint8_t code;
    doca_be16_t ident;
};

struct doca_flow_header_format {
    struct doca_flow_header_eth eth;
    uint16_t l2_valid_headers;
    struct doca_flow_header_eth_vlan eth_vlan[DOCA_FLOW_VLAN_MAX];
    enum doca_flow_l3_type l3_type;
    union {
        struct doca_flow_header_ip4 ip4;
        struct doca_flow_header_ip6 ip6;
    };
    enum doca_flow_l4_type_ext l4_type_ext;
    union {
        struct doca_flow_header_icmp icmp;
        struct doca_flow_header_udp udp;
        struct doca_flow_header_tcp tcp;
        struct doca_flow_header_l4_port transport;
    };
};

struct doca_flow_tun {
    enum doca_flow_tun_type type;
    union {
        doca_be32_t vxlan_tun_id;
        doca_be32_t gtp_teid;
        struct {
            doca_be32_t esp_spi;
            doca_be32_t esp_sn;
        };
    };
};

#endif
