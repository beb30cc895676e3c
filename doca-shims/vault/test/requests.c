/*
 * A guest and an agent on one line of text each: commands from standard input, one answer a line. The suite that plays requests at
 * the handlers is test/conformance/doca-vault.test.ts; this program is built with sanitizers, and for the DPU's processor.
 *
 *   card PCI VUIDS | open DIRECTORY | place WORKSPACE VOLUME PCI VUID TAG | stage FILE | commit N | flag WORKSPACE FLAG ON
 *   observe | events | hold ON | pass N | fail N | tag VUID | violations | close
 *   begin N | ended                                         as commit, meanwhile; whether it has ended, and how
 *   ask VUID OPCODE NODE UID ARG GIVEN ROOM PIECES LATER     octets in hex, `-` for none
 *   send ...                                                 as ask, answered later by `wait`, in order
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doca_emulated_guest.h"
#include "sluice_doca_vault.h"

#define LINE (1u << 22)
#define WAITING 64

static struct emulated_pending *waiting[WAITING];
static uint32_t sent, waited;
static pthread_t committer;
static _Atomic int committing;

static uint32_t from_hex(const char *text, unsigned char *out)
{
    uint32_t size = 0;
    unsigned value;

    for (; text[0] != '-' && text[0] != 0 && sscanf(text, "%2x", &value) == 1; text += 2)
        out[size++] = (unsigned char)value;
    return size;
}

static void put_hex(const void *from, uint32_t size)
{
    if (size == 0)
        putchar('-');
    for (uint32_t i = 0; i < size; i++)
        printf("%02x", ((const unsigned char *)from)[i]);
    putchar(' ');
}

static void put_answer(const struct emulated_answer *answer)
{
    printf("%d %d %u ", answer->status, answer->error, answer->length);
    put_hex(&answer->body, sizeof(answer->body));
    put_hex(&answer->opened, sizeof(answer->opened));
    put_hex(answer->data, answer->got);
    putchar('\n');
}

static void ask(char *words, int wait)
{
    static unsigned char arg[256], *given, *later;
    static struct emulated_answer answer;
    char vuid[128], *arg_text, *given_text, *later_text;
    unsigned long long node;
    struct emulated_request request = {0};
    struct emulated_pending *pending;
    int used = 0;

    if (sscanf(words, "%127s %u %llu %u %n", vuid, &request.opcode, &node, &request.uid, &used) != 4)
        exit(64);
    arg_text = strtok(words + used, " ");
    given_text = strtok(NULL, " ");
    request.room = (uint32_t)strtoul(strtok(NULL, " "), NULL, 10);
    request.pieces = (uint32_t)strtoul(strtok(NULL, " "), NULL, 10);
    later_text = strtok(NULL, " ");
    given = realloc(given, strlen(given_text) + 1);
    later = realloc(later, strlen(later_text) + 1);
    request.nodeid = node;
    request.pid = 1234;
    request.arg_size = from_hex(arg_text, arg);
    request.arg = arg;
    request.given_size = from_hex(given_text, given);
    request.given = given;
    request.later = from_hex(later_text, later) == 0 ? NULL : later;
    if (wait) {
        emulated_ask(vuid, &request, &answer);
        put_answer(&answer);
        return;
    }
    pending = emulated_send(vuid, &request);
    if (pending == NULL || sent - waited == WAITING)
        exit(65);
    waiting[sent++ % WAITING] = pending;
    puts("sent");
}

static int32_t stage(const char *path, char *why, uint32_t room)
{
    FILE *file = fopen(path, "rb");
    unsigned char *table = malloc(LINE);
    size_t size;
    int32_t error;

    if (file == NULL || table == NULL)
        return -ENOENT;
    size = fread(table, 1, LINE, file);
    fclose(file);
    error = sluice_doca_vault_stage(table, size, why, room);
    free(table);
    return error;
}

static void *commit(void *generation)
{
    char why[512] = "";
    int32_t error = sluice_doca_vault_commit((uint64_t)(uintptr_t)generation, why, sizeof(why));

    atomic_store(&committing, 0);
    return (void *)(intptr_t)error;
}

/* Lines, ended by a line with a dot. */
static void put_lines(const char *text, uint32_t size)
{
    fwrite(text, 1, size, stdout);
    puts(".");
}

static void command(char *line)
{
    static struct emulated_answer answer;
    static char text[1 << 20];
    char a[4096], b[256], c[64], d[128], e[64], why[512] = "";
    unsigned long long number;
    uint64_t lost = 0;
    unsigned on;

    if (strncmp(line, "ask ", 4) == 0) {
        ask(line + 4, 1);
    } else if (strncmp(line, "send ", 5) == 0) {
        ask(line + 5, 0);
    } else if (strcmp(line, "wait") == 0) {
        emulated_wait(waiting[waited++ % WAITING], &answer);
        put_answer(&answer);
    } else if (sscanf(line, "card %63s %4095s", c, a) == 2) {
        emulated_card(c, a);
        puts("0");
    } else if (sscanf(line, "open %4095s", a) == 1) {
        printf("%d %s\n", sluice_doca_vault_open(a, why, sizeof(why)), why);
    } else if (sscanf(line, "place %4095s %255s %63s %127s %63s", a, b, c, d, e) == 5) {
        printf("%d\n", sluice_doca_vault_place(a, b, c, d, e));
    } else if (sscanf(line, "stage %4095s", a) == 1) {
        int32_t error = stage(a, why, sizeof(why));

        printf("%d %s\n", error, why);
    } else if (sscanf(line, "commit %llu", &number) == 1) {
        int32_t error = sluice_doca_vault_commit(number, why, sizeof(why));

        printf("%d %s\n", error, why);
    } else if (sscanf(line, "flag %4095s %63s %u", a, c, &on) == 3) {
        printf("%d\n", sluice_doca_vault_flag(a, c, on));
    } else if (sscanf(line, "hold %u", &on) == 1) {
        emulated_hold_copies((int)on);
        puts("0");
    } else if (sscanf(line, "pass %u", &on) == 1) {
        emulated_pass_copies(on);
        puts("0");
    } else if (sscanf(line, "begin %llu", &number) == 1) {
        atomic_store(&committing, 1);
        printf("%d\n", pthread_create(&committer, NULL, commit, (void *)(uintptr_t)number));
    } else if (strcmp(line, "ended") == 0) {
        void *error = NULL;

        if (atomic_load(&committing))
            puts("no");
        else
            printf("%d %d\n", pthread_join(committer, &error), (int)(intptr_t)error);
    } else if (sscanf(line, "fail %u", &on) == 1) {
        emulated_fail_copy(on);
        puts("0");
    } else if (sscanf(line, "tag %127s", d) == 1) {
        printf("%s\n", emulated_tag(d));
    } else if (strcmp(line, "observe") == 0) {
        put_lines(text, sluice_doca_vault_observe(text, sizeof(text)));
    } else if (strcmp(line, "events") == 0) {
        put_lines(text, sluice_doca_vault_events(text, sizeof(text), &lost));
    } else if (strcmp(line, "violations") == 0) {
        emulated_violations(text, sizeof(text));
        put_lines(text, (uint32_t)strlen(text));
    } else if (strcmp(line, "close") == 0) {
        sluice_doca_vault_close();
        puts("0");
    } else {
        exit(64);
    }
    fflush(stdout);
}

int main(void)
{
    char *line = malloc(LINE);

    while (line != NULL && fgets(line, (int)LINE, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        command(line);
    }
    free(line);
    return 0;
}
