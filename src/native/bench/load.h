/*
 * The parts of sluice-load, the traffic generator of the bench. Times are nanoseconds of CLOCK_MONOTONIC. Every command prints one
 * line of JSON and ends with 0, or says on the error output why not and ends with 1. What goes wrong in a connection is counted
 * and never ends the run.
 */
#ifndef SLUICE_BENCH_LOAD_H
#define SLUICE_BENCH_LOAD_H

#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

/* Ports of the server, from a base. The datagram echo is on ECHO too; with a peer datagrams to SINK are counted, and TELL says how many came
 * and how busy the machine was. Connections that stand are spread over STANDING ports from
 * PORT_STANDING on, with a process at either end of each: one port has room for no more than a client has ports, and one process for no
 * more than it may have descriptors. */
enum { PORT_ECHO = 0, PORT_ONCE = 1, PORT_SINK = 2, PORTS = 3, PORT_TELL = 3, PORT_STANDING = 3, STANDING = 8 };

/* Sub-buckets for each power of two: a value is known within 1/128. src/bench/histogram.ts has the same. */
enum { PRECISION = 7, BUCKETS = (64 - PRECISION) << PRECISION, SLICES = 10 };

struct load_end {
    struct sockaddr_storage at;
    socklen_t length;
    int family;
};

/* What a run of transactions came to. */
struct load_tally {
    uint64_t done, failed, resets, began, ended;
    uint64_t slices[SLICES];
    uint32_t buckets[BUCKETS];
};

uint64_t load_now(void);
/* Ticks of all processors at work since the boot, as src/bench/machine.ts counts them; 0 where the kernel does not say. */
unsigned long long load_busy_ticks(void);
/* 0, or -1 when the text is no literal address; port in host order. */
int load_end_parse(struct load_end *end, const char *address, int port);
void load_end_port(struct load_end *end, int port);
int load_descriptors(void);

void load_tally_add(struct load_tally *tally, uint64_t latency);
void load_tally_slice(struct load_tally *tally, uint64_t now, uint64_t duration, uint64_t amount);
void load_tally_print(const struct load_tally *tally);
/* The last member of a line, and its end. */
void load_buckets_print(const struct load_tally *tally);

int load_serve(const char *address, int port, const char *peer);
int load_transactions(const struct load_end *end, int once, uint64_t duration, int flows, double rate);
int load_stream(const struct load_end *end, uint64_t duration, int flows);
int load_datagrams(const struct load_end *end, uint64_t duration, int flows, int size);
int load_flows(const struct load_end *end, int port, int count, uint64_t most);
int load_packets(const char *interface, int family, long addresses, long flows, long warm, long packets, long milliseconds);
int load_probe(const char *protocol, const struct load_end *end, int milliseconds);

#endif
