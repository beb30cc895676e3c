/* Log lines on a stream. Nothing is written before a program asks for a backend. */
#include "../include/doca_log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#define SOURCES_MAX 256

struct doca_log_backend {
    FILE *stream;
};

static struct doca_log_backend application, sdk;
static const char *sources[SOURCES_MAX];
static uint32_t lowest = DOCA_LOG_LEVEL_CRIT, highest = DOCA_LOG_LEVEL_INFO;

doca_error_t doca_log_backend_create_standard(void)
{
    application.stream = stderr;
    return DOCA_SUCCESS;
}

doca_error_t doca_log_backend_create_with_file_sdk(FILE *file, struct doca_log_backend **backend)
{
    if (!file || !backend)
        return DOCA_ERROR_INVALID_VALUE;
    sdk.stream = file;
    *backend = &sdk;
    return DOCA_SUCCESS;
}

doca_error_t doca_log_backend_create_with_fd_sdk(int fd, struct doca_log_backend **backend)
{
    if (!backend)
        return DOCA_ERROR_INVALID_VALUE;
    int own = dup(fd);
    FILE *stream = own < 0 ? NULL : fdopen(own, "w");
    if (!stream) {
        if (own >= 0)
            close(own);
        return DOCA_ERROR_IO_FAILED;
    }
    return doca_log_backend_create_with_file_sdk(stream, backend);
}

doca_error_t doca_log_backend_set_sdk_level(struct doca_log_backend *backend, uint32_t level)
{
    (void)level; /* the emulator itself writes no log */
    return backend ? DOCA_SUCCESS : DOCA_ERROR_INVALID_VALUE;
}

doca_error_t doca_log_level_set_global_lower_limit(uint32_t level)
{
    lowest = level;
    return DOCA_SUCCESS;
}

doca_error_t doca_log_level_set_global_upper_limit(uint32_t level)
{
    highest = level;
    return DOCA_SUCCESS;
}

doca_error_t doca_log_level_set_global_sdk_limit(uint32_t level)
{
    (void)level;
    return DOCA_SUCCESS;
}

doca_error_t doca_log_register_source(const char *name, int *source)
{
    if (!name || !source)
        return DOCA_ERROR_INVALID_VALUE;
    for (int i = 0; i < SOURCES_MAX; i++) {
        if (sources[i])
            continue;
        sources[i] = name;
        *source = i;
        return DOCA_SUCCESS;
    }
    return DOCA_ERROR_FULL;
}

doca_error_t doca_log_unregister_source(int source)
{
    if (source < 0 || source >= SOURCES_MAX || !sources[source])
        return DOCA_ERROR_INVALID_VALUE;
    sources[source] = NULL;
    return DOCA_SUCCESS;
}

void doca_log(uint32_t level, int source, const char *file, int line, const char *func, const char *format, ...)
{
    (void)file;
    (void)func;
    /* The lower limit is what is always shown, the upper what a source may raise itself to. */
    if (!application.stream || (level > highest && level > lowest))
        return;
    const char *name = source >= 0 && source < SOURCES_MAX && sources[source] ? sources[source] : "?";
    va_list arguments;
    va_start(arguments, format);
    fprintf(application.stream, "[%u] %s:%d ", level, name, line);
    vfprintf(application.stream, format, arguments);
    fputc('\n', application.stream);
    va_end(arguments);
}
