/* file_empty.c - what a listing shows that the operator should know: that there is no file, and
 * where some may be; what was passed over, being no file. See file_internal.h. */
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "readers/file/file_internal.h"

/* The declared path, with the folders below it: `in/` and `**` behind it where it names folders
 * that hold folders, else `**` before its last name. NULL: it has `**`, or names one file. */
static const char *deeper_path(const file_reader *reader, const file_listing *listing, arena *arena)
{
    const char *path = ((const file_options *)reader->base.options)->path.value;
    size_t n = strlen(path);
    const char *name = strrchr(path, '/');

    if (strstr(path, "**") != NULL)
        return NULL;
    if (listing->n_folders > 0)
        return arena_format(arena, "%s%s**", path, n > 0 && path[n - 1] == '/' ? "" : "/");
    if (!file_list_is_pattern(path))
        return NULL;
    name = name == NULL ? path : name + 1;
    return arena_format(arena, "%.*s**/%s", (int)(name - path), path, name);
}

const char *file_hint(const file_reader *reader, const file_listing *listing, arena *arena)
{
    const char *deeper = deeper_path(reader, listing, arena);
    const char *text = "";

    if (listing->n > 0 || deeper == NULL)
        return "";
    if (listing->n_folders > 0)
        text = arena_format(arena,
                            "; there %s %u folder%s, which %s not looked into: \"%s\" reads the "
                            "files below",
                            listing->n_folders == 1 ? "is" : "are", listing->n_folders,
                            listing->n_folders == 1 ? "" : "s",
                            listing->n_folders == 1 ? "is" : "are", deeper);
    else
        text = arena_format(arena, "; \"*\" does not go into folders, \"**\" does: \"%s\"", deeper);
    return text == NULL ? "" : text;
}

void file_warn_of_listing(file_reader *reader, const file_listing *listing, arena *arena)
{
    const place *at = &((const file_options *)reader->base.options)->path.at;

    reader->n_odd_said = listing->n_odd;
    if (reader->base.problems == NULL)
        return;
    if (listing->n == 0)
        problem_warn(reader->base.problems, at, "there is no file at \"%s\" yet%s; %s",
                     reader->path, file_hint(reader, listing, arena),
                     reader->base.block->stream ? "the stream waits for files"
                                                : "this reader has no rows");
    if (listing->n_odd > 0)
        problem_warn(
            reader->base.problems, at,
            "%s is no file, but a pipe, a device or a link that leads nowhere%s; %s passed "
            "over",
            listing->odd, listing->n_odd == 1 ? "" : ", and so are others",
            listing->n_odd == 1 ? "it is" : "they are");
}

void file_say_odd(file_reader *reader, const file_listing *listing)
{
    if (listing->n_odd > reader->n_odd_said)
        log_event(THINGS_PASSED_OVER, file_reader_id(reader), listing->n_odd, listing->odd);
    reader->n_odd_said = listing->n_odd;
}
