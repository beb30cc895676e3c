/*
 * sluice-load: traffic for the bench. One command a run:
 *   serve ADDRESS PORT [PEER]             echo, answer-and-close and sink on PORT, PORT+1, PORT+2; prints "ready"; others than PEER are
 *                                         closed, and without a PEER connections that stand are echoed on PORT+3 to PORT+10;
 *                                         with one datagrams to PORT+2 are counted, and PORT+3 says how many
 *   rr|crr ADDRESS PORT MS FLOWS [RATE]   transactions, as fast as they are answered or at RATE a second
 *   stream ADDRESS PORT MS FLOWS          bytes, as fast as they are taken
 *   datagrams ADDRESS PORT MS FLOWS SIZE  datagrams with so many octets, as fast as the kernel takes them
 *   flows ADDRESS PORT COUNT MS           connections that stand at the same time, opened for so long at most
 *   packets IFACE 4|6 ADDRESSES FLOWS WARM PACKETS [MS]   datagrams from a workspace's side, keys cycled
 *   probe tcp|udp ADDRESS PORT MS         "open", "refused" or "silent"
 * At a RATE latency counts from when a request should have left, so that a slow answer is not hidden by the requests that it held
 * back (coordinated omission); what was due before the end is sent after it, and counts as failed if there is no time for that.
 */
#define _GNU_SOURCE
#include "load.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

uint64_t load_now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

unsigned long long load_busy_ticks(void)
{
    unsigned long long user = 0, nice = 0, system = 0, idle, wait, irq = 0, softirq = 0;
    FILE *stat = fopen("/proc/stat", "re");
    if (!stat)
        return 0;
    int got = fscanf(stat, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait, &irq, &softirq);
    fclose(stat);
    return got == 7 ? user + nice + system + irq + softirq : 0;
}

int load_end_parse(struct load_end *end, const char *address, int port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&end->at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&end->at;
    memset(end, 0, sizeof *end);
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        end->length = sizeof *v4;
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        end->length = sizeof *v6;
    } else {
        return -1;
    }
    end->family = end->at.ss_family;
    load_end_port(end, port);
    return 0;
}

void load_end_port(struct load_end *end, int port)
{
    /* The port lies at the same place in both. */
    ((struct sockaddr_in *)&end->at)->sin_port = htons((uint16_t)port);
}

/* As many descriptors as this process may have; gives how many. */
int load_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 1024;
    struct rlimit wanted = { 1 << 20, 1 << 20 };
    if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
        return 1 << 20;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return (int)limit.rlim_cur;
}

void load_tally_add(struct load_tally *tally, uint64_t latency)
{
    int top = 63 - __builtin_clzll(latency | 1);
    int shift = top > PRECISION ? top - PRECISION : 0;
    uint64_t at = ((uint64_t)shift << PRECISION) + (latency >> shift);
    tally->buckets[at < BUCKETS ? at : BUCKETS - 1]++;
    tally->done++;
}

/* Counts towards the tenth of the run that `now` falls into; what comes after its end counts nowhere. */
void load_tally_slice(struct load_tally *tally, uint64_t now, uint64_t duration, uint64_t amount)
{
    uint64_t at = (now - tally->began) * SLICES / duration;
    if (at < SLICES)
        tally->slices[at] += amount;
}

void load_buckets_print(const struct load_tally *tally)
{
    fputs("\"buckets\":[", stdout);
    const char *between = "";
    for (int i = 0; i < BUCKETS; i++)
        if (tally->buckets[i]) {
            printf("%s[%d,%u]", between, i, tally->buckets[i]);
            between = ",";
        }
    puts("]}");
}

void load_tally_print(const struct load_tally *tally)
{
    printf("{\"done\":%llu,\"failed\":%llu,\"resets\":%llu,\"seconds\":%.9f,\"slices\":[", (unsigned long long)tally->done,
           (unsigned long long)tally->failed, (unsigned long long)tally->resets, (double)(tally->ended - tally->began) / 1e9);
    for (int i = 0; i < SLICES; i++)
        printf("%s%llu", i ? "," : "", (unsigned long long)tally->slices[i]);
    fputs("],", stdout);
    load_buckets_print(tally);
}

static int usage(void)
{
    fputs("sluice-load: see the head of src/native/bench/load.c\n", stderr);
    return 64;
}

int main(int count, char **words)
{
    struct load_end end;
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    /* Without it every timed wait is 50 us late. */
    prctl(PR_SET_TIMERSLACK, 1);
    if (count < 4)
        return usage();
    const char *command = words[1];
    if (strcmp(command, "packets") == 0 && (count == 8 || count == 9))
        return load_packets(words[2], atoi(words[3]), atol(words[4]), atol(words[5]), atol(words[6]), atol(words[7]),
                            count > 8 ? atol(words[8]) : 0);
    if (strcmp(command, "serve") == 0)
        return load_serve(words[2], atoi(words[3]), count > 4 ? words[4] : NULL);
    if (strcmp(command, "probe") == 0 && count == 6) {
        if (load_end_parse(&end, words[3], atoi(words[4])) < 0)
            return usage();
        return load_probe(words[2], &end, atoi(words[5]));
    }
    if (count < 5 || load_end_parse(&end, words[2], atoi(words[3])) < 0)
        return usage();
    load_descriptors();
    uint64_t duration = strtoull(words[4], NULL, 10) * 1000000u;
    if (strcmp(command, "flows") == 0 && count == 6 && atoi(words[4]) > 0)
        return load_flows(&end, atoi(words[3]), atoi(words[4]), strtoull(words[5], NULL, 10) * 1000000u);
    if (count < 6 || duration == 0)
        return usage();
    int flows = atoi(words[5]);
    double rate = count > 6 ? atof(words[6]) : 0;
    if (flows < 1)
        return usage();
    if (strcmp(command, "datagrams") == 0 && count == 7)
        return load_datagrams(&end, duration, flows, atoi(words[6]));
    if (strcmp(command, "stream") == 0)
        return load_stream(&end, duration, flows);
    if (strcmp(command, "rr") == 0 || strcmp(command, "crr") == 0)
        return load_transactions(&end, command[0] == 'c', duration, flows, rate);
    return usage();
}
