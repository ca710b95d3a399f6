/* error.c - see error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Cuts a text that did not fit, at the beginning of a UTF-8 character, and says so. */
static void error_cut(char *text, size_t size, int length)
{
    if (length < 0 || (size_t)length < size)
        return;
    size_t end = size - 4;
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    memcpy(text + end, "...", 4);
}

freshet_code error_set(freshet_error *err, freshet_code code, freshet_then then, const char *at,
                       const char *format, ...)
{
    if (err == NULL)
        return code;
    /* Made aside first: the arguments may be texts of `err` itself. */
    freshet_error made = {.code = code, .then = then};
    va_list args;
    va_start(args, format);
    int length = vsnprintf(made.text, sizeof made.text, format, args);
    va_end(args);
    error_cut(made.text, sizeof made.text, length);
    if (at != NULL)
        error_cut(made.at, sizeof made.at, snprintf(made.at, sizeof made.at, "%s", at));
    *err = made;
    return code;
}

static bool is_passing(int number)
{
    return number == ENOMEM || number == EMFILE || number == ENFILE || number == ENOSPC ||
           number == EDQUOT || number == EFBIG || number == EAGAIN || number == EINTR;
}

freshet_code error_system(freshet_error *err, const char *what, const char *path)
{
    int number = errno;
    char reason[128];
    if (strerror_r(number, reason, sizeof reason) != 0)
        snprintf(reason, sizeof reason, "error %d", number);
    bool passing = is_passing(number);
    return error_set(err, passing ? FRESHET_TRY_AGAIN : FRESHET_FAILED,
                     passing ? FRESHET_RETRY : FRESHET_STOP, path, "%s %s: %s", what,
                     path == NULL ? "" : path, reason);
}

freshet_code error_memory(freshet_error *err, const char *doing)
{
    return error_set(err, FRESHET_NO_MEMORY, FRESHET_STOP, NULL, "out of memory while %s", doing);
}

#define STOPPED "the run was stopped in the middle"

freshet_code error_stopped(freshet_error *err)
{
    return error_set(err, FRESHET_TRY_AGAIN, FRESHET_STOP, NULL, STOPPED);
}

bool error_is_stopped(const freshet_error *err)
{
    return err->code == FRESHET_TRY_AGAIN && err->then == FRESHET_STOP &&
           strcmp(err->text, STOPPED) == 0;
}
