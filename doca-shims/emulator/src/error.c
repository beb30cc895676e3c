/* Names and texts of the results, and the release that the library says it is. */
#include "internal.h"

static const struct {
    const char *name, *text;
} ERRORS[] = {
    [DOCA_SUCCESS] = { "DOCA_SUCCESS", "no error" },
    [DOCA_ERROR_UNKNOWN] = { "DOCA_ERROR_UNKNOWN", "the cause is not known" },
    [DOCA_ERROR_NOT_PERMITTED] = { "DOCA_ERROR_NOT_PERMITTED", "not permitted" },
    [DOCA_ERROR_IN_USE] = { "DOCA_ERROR_IN_USE", "in use" },
    [DOCA_ERROR_NOT_SUPPORTED] = { "DOCA_ERROR_NOT_SUPPORTED", "not supported here" },
    [DOCA_ERROR_AGAIN] = { "DOCA_ERROR_AGAIN", "no room now; try again" },
    [DOCA_ERROR_INVALID_VALUE] = { "DOCA_ERROR_INVALID_VALUE", "an argument is wrong" },
    [DOCA_ERROR_NO_MEMORY] = { "DOCA_ERROR_NO_MEMORY", "out of memory" },
    [DOCA_ERROR_INITIALIZATION] = { "DOCA_ERROR_INITIALIZATION", "initialisation failed" },
    [DOCA_ERROR_TIME_OUT] = { "DOCA_ERROR_TIME_OUT", "time is up" },
    [DOCA_ERROR_SHUTDOWN] = { "DOCA_ERROR_SHUTDOWN", "shut down" },
    [DOCA_ERROR_CONNECTION_RESET] = { "DOCA_ERROR_CONNECTION_RESET", "connection reset" },
    [DOCA_ERROR_CONNECTION_ABORTED] = { "DOCA_ERROR_CONNECTION_ABORTED", "connection aborted" },
    [DOCA_ERROR_CONNECTION_INPROGRESS] = { "DOCA_ERROR_CONNECTION_INPROGRESS", "connecting" },
    [DOCA_ERROR_NOT_CONNECTED] = { "DOCA_ERROR_NOT_CONNECTED", "not connected" },
    [DOCA_ERROR_NO_LOCK] = { "DOCA_ERROR_NO_LOCK", "a lock could not be taken" },
    [DOCA_ERROR_NOT_FOUND] = { "DOCA_ERROR_NOT_FOUND", "not found" },
    [DOCA_ERROR_IO_FAILED] = { "DOCA_ERROR_IO_FAILED", "input or output failed" },
    [DOCA_ERROR_BAD_STATE] = { "DOCA_ERROR_BAD_STATE", "calls are out of order" },
    [DOCA_ERROR_UNSUPPORTED_VERSION] = { "DOCA_ERROR_UNSUPPORTED_VERSION", "release not supported" },
    [DOCA_ERROR_OPERATING_SYSTEM] = { "DOCA_ERROR_OPERATING_SYSTEM", "the operating system refused" },
    [DOCA_ERROR_DRIVER] = { "DOCA_ERROR_DRIVER", "the driver failed" },
    [DOCA_ERROR_UNEXPECTED] = { "DOCA_ERROR_UNEXPECTED", "did not expect that" },
    [DOCA_ERROR_ALREADY_EXIST] = { "DOCA_ERROR_ALREADY_EXIST", "exists already" },
    [DOCA_ERROR_FULL] = { "DOCA_ERROR_FULL", "no room left" },
    [DOCA_ERROR_EMPTY] = { "DOCA_ERROR_EMPTY", "nothing left" },
    [DOCA_ERROR_IN_PROGRESS] = { "DOCA_ERROR_IN_PROGRESS", "under way" },
    [DOCA_ERROR_TOO_BIG] = { "DOCA_ERROR_TOO_BIG", "more than the device can match" },
    [DOCA_ERROR_AUTHENTICATION] = { "DOCA_ERROR_AUTHENTICATION", "authentication failed" },
    [DOCA_ERROR_BAD_CONFIG] = { "DOCA_ERROR_BAD_CONFIG", "the configuration is wrong" },
    [DOCA_ERROR_SKIPPED] = { "DOCA_ERROR_SKIPPED", "skipped" },
};

static bool listed(doca_error_t error)
{
    return (unsigned int)error < sizeof ERRORS / sizeof *ERRORS;
}

const char *doca_error_get_name(doca_error_t error)
{
    return listed(error) ? ERRORS[error].name : "DOCA_ERROR_?";
}

const char *doca_error_get_descr(doca_error_t error)
{
    return listed(error) ? ERRORS[error].text : "no result of this library";
}

const char *doca_version_runtime(void)
{
    return DOCA_VERSION_STRING;
}
