/* error.h - writing a freshet_error, once, where it arises.
 *
 * A function that can fail returns a freshet_code and takes `freshet_error *err` last. On success
 * the error is untouched. On failure the place where it arises writes ONE complete sentence: what
 * is wrong, with which thing, and what to do. It also says what the caller should do next:
 * FRESHET_STOP (the run cannot go on), FRESHET_RETRY (the same call may succeed later) or
 * FRESHET_SKIP_ROW (one row is bad; put it to the dead letters and go on).
 *
 * `err` may be NULL: then only the code is returned. Writing an error allocates nothing; text that
 * is too long is cut at a UTF-8 boundary and ends in "...".
 */
#ifndef FRESHET_BASE_ERROR_H
#define FRESHET_BASE_ERROR_H

#include <freshet/freshet.h>
#include <stdbool.h>

/* Writes the error and returns `code`, so that a failing function ends in
 * `return error_set(err, FRESHET_FAILED, FRESHET_STOP, path, "cannot open ...: %s", ...);`
 * `at` names the place ("file.yaml:14:9", a path, a reader id); NULL where there is none. */
freshet_code error_set(freshet_error *err, freshet_code code, freshet_then then, const char *at,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The error of a system call: "<what> <path>: <strerror(errno)>". ENOMEM, EMFILE, ENFILE, ENOSPC,
 * EAGAIN and EINTR give FRESHET_TRY_AGAIN with FRESHET_RETRY, all else FRESHET_FAILED with
 * FRESHET_STOP. errno is read on entry. */
freshet_code error_system(freshet_error *err, const char *what, const char *path);

/* FRESHET_NO_MEMORY, "out of memory while <doing>". */
freshet_code error_memory(freshet_error *err, const char *doing);

/* What a call gives that gave up in the middle since the run is to stop: what it had begun is not
 * there, and is done again by the next run. FRESHET_TRY_AGAIN with FRESHET_STOP. */
freshet_code error_stopped(freshet_error *err);
bool error_is_stopped(const freshet_error *err);

#endif
