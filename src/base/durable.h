/* durable.h - files of lines that are appended to, and are to be whole after any failure.
 *
 * All are for descriptors and paths of the table of system calls (os.h), go on where a call was
 * interrupted, and leave errno where they fail.
 */
#ifndef FRESHET_BASE_DURABLE_H
#define FRESHET_BASE_DURABLE_H

#include <freshet/freshet.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* All the bytes; false where not all could be written. */
bool durable_write(int fd, const char *bytes, size_t length);

/* As many bytes from there on as the file has, `length` at most; -1: it failed. */
ssize_t durable_read(int fd, void *into, size_t length, off_t at);

/* Can the file be made, or be there, as far as can be told without opening it?
 * FRESHET_BAD_DECLARATION where it is a folder, or its folder is missing; `what` it is begins the
 * sentence. */
freshet_code durable_check(const char *what, const char *path, freshet_error *err);

/* Do two paths of such files lead to one? Not where that is a pipe or a device. */
bool durable_same(const char *path, const char *other);

bool durable_cut(int fd, off_t length);

/* Of a file of `size` bytes that was opened to append: takes away a half line at its end which
 * begins with `start`, as a process that was killed leaves it, and ends one that does not, which is
 * another's; "": each is ours. The size then; -1: it failed. */
off_t durable_mend(int fd, off_t size, const char *start);

/* Makes a file or folder durable, by its path; or the entry of a file in its folder. */
bool durable_path(const char *path);
bool durable_entry(const char *path);

#endif
