/* file_known.c - is the file whose turn it is one that was read before? See file_internal.h.
 *
 * A file that was read on before, and lies where it lay, is compared with what was read of it
 * (file_mark.h): the same, it goes on. Shorter, it waits: something may be writing it anew. Another
 * text, and it is a new file that has the old one's place (track_split); the old one stays known,
 * since its text may be somewhere else now.
 *
 * A file that nothing has been read of is looked for among those that were read:
 *
 *     at the same path     copied, put back, replaced by a longer one
 *     by its inode         renamed, where the file system does not tell when a file was made
 *     by its beginning     rotated and compressed; cut after it was copied
 *
 * One whose text is the same takes it over (track_merge), and is read on where that was. Of a name
 * alone nothing follows, nor of a text alone, since two files may hold the same rows: by its
 * beginning a file is known only where the other one is gone (or cut) and the names go together, as
 * rotation makes them: `app.log`, `app.log.1`, `app.log.2.gz`, `app-20240301.log.gz`. While the
 * other is still there, compression may be at work, or a copy be made before the other is cut: the
 * file waits. All else is a new file, and where its text is one that was read, the log says so.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "readers/file/file_internal.h"

#define SAID_MOST 10      /* files that get a word of their own */
#define CANDIDATES_MAX 64 /* files compared for one */

static mark_file open_mark_file(file_reader *reader, const tracked_file *file)
{
    return (mark_file){.fd = file->fd,
                       .path = file->path,
                       .is_gzip = file->is_gzip,
                       .is_whole = file_is_whole(reader),
                       .gzip = &reader->look};
}

/* ---- telling --------------------------------------------------------------------------------- */

static const char *unit_of(const file_reader *reader, int64_t n)
{
    return file_is_whole(reader) ? (n == 1 ? "row" : "rows") : (n == 1 ? "byte" : "bytes");
}

static void say_known(file_reader *reader, const char *was, const tracked_file *file)
{
    if (reader->n_known++ < SAID_MOST)
        log_event(FILE_KNOWN, file_reader_id(reader), file->path,
                  strcmp(was, file->path) == 0 ? "" : " as ",
                  strcmp(was, file->path) == 0 ? "" : was, file_is_whole(reader) ? "row" : "byte",
                  (long long)file->offset);
}

/* Takes down that `by` has the place, or the text, of a file that was read. */
static freshet_code note_replaced(file_reader *reader, uint32_t known, uint32_t by, bool is_place,
                                  freshet_error *err)
{
    tracked_file *file = track_file(reader->track, by);

    if (file->is_noted)
        return FRESHET_OK;
    file->is_noted = true;
    if (!array_reserve(&reader->replaced, &reader->replaced_capacity,
                       reader->n_replaced + UINT64_C(1), sizeof(*reader->replaced)))
        return error_memory(err, "reading files");
    reader->replaced[reader->n_replaced++] =
        (replaced_file){.known = known,
                        .by = by,
                        .is_place = is_place,
                        .seen = track_file(reader->track, known)->seen,
                        .since_us = os.monotonic_us()};
    return FRESHET_OK;
}

/* Says it; false where there is nothing to say: the file was only renamed, or its text was found
 * under another name. */
static bool say_replaced(const file_reader *reader, const replaced_file *it, bool is_said)
{
    const tracked_file *known = track_file(reader->track, it->known);
    const tracked_file *by = track_file(reader->track, it->by);
    struct stat info;

    if (it->is_place && (known->seen > it->seen ||
                         (known->fd >= 0 && os.fstat(known->fd, &info) == 0 && info.st_nlink > 0)))
        return false;
    if (by->path == NULL) /* it was found to be another since */
        return false;
    if (is_said && it->is_place)
        log_event(FILE_CHANGED, file_reader_id(reader), by->path, (long long)known->offset,
                  unit_of(reader, known->offset));
    else if (is_said)
        log_event(FILE_BEGINS_ALIKE, file_reader_id(reader), by->path, known->path,
                  (long long)known->offset, unit_of(reader, known->offset));
    return true;
}

void file_say_replaced(file_reader *reader)
{
    int64_t before_us = os.monotonic_us() - FILE_REPLACED_US;
    bool is_all = reader->base.mode == READ_ALL ||
                  (!reader->needs_listing && reader->n_retry == 0 && reader->n_stray == 0);
    int64_t sum = 0;
    uint32_t n = 0;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < reader->n_replaced; i++) {
        const replaced_file it = reader->replaced[i];
        if (!is_all && it.since_us > before_us) {
            reader->replaced[kept++] = it;
        } else if (say_replaced(reader, &it, n < SAID_MOST) && n++ >= SAID_MOST) {
            sum += track_file(reader->track, it.known)->offset;
        }
    }
    reader->n_replaced = kept;
    if (n > SAID_MOST)
        log_event(FILES_READ_AGAIN, file_reader_id(reader), n - SAID_MOST, (long long)sum,
                  unit_of(reader, sum));
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void stop_waiting(tracked_file *file)
{
    if (file->waits_since_us != 0)
        file->retry_us = 0;
    file->waits_since_us = 0;
    file->said_waiting = false;
}

/* The file waits, as `why` (with %s for the other file's path) says. */
static void known_waits(file_reader *reader, uint32_t index, const char *why, const char *other)
{
    tracked_file *file = track_file(reader->track, index);
    int64_t now_us = os.monotonic_us();
    bool is_last = reader->base.mode == READ_ALL;

    if (file->waits_since_us == 0 || file->waits_size != file->size)
        file->waits_since_us = now_us;
    file->waits_size = file->size;
    if (!file->said_waiting && (is_last || now_us - file->waits_since_us >= FILE_COPY_US)) {
        log_event(FILE_WAITS, file_reader_id(reader), file->path, why, other);
        file->said_waiting = true;
    }
    if (file->retry_us == 0)
        reader->n_retry++;
    file->retry_us = now_us + FILE_WAIT_US;
    file->finished = is_last;
    file_queue_take(reader);
}

static const char why_shorter[] =
    "is shorter than what was read of it, and the same as far as it goes; nothing of it is read "
    "until it has grown beyond, or begins otherwise";
static const char why_twin[] = "holds the same text as a file beside it that was read, compressed "
                               "or not; it is left alone as long as that is there: ";
static const char why_copy[] =
    "holds the same text as a file that was read; it waits for that to be cut: ";

/* ---- one that was read on -------------------------------------------------------------------- */

static void forget_place(file_reader *reader, uint32_t index)
{
    file_side_forget(reader, index, true);
    if (reader->header_of == index)
        reader->header_of = FILE_NONE;
    if (reader->whole_of == index)
        reader->whole_of = FILE_NONE;
}

/* Puts `index` into the place of `from` among the open files. */
static void swap_open(file_reader *reader, uint32_t from, uint32_t index)
{
    for (uint32_t i = 0; i < reader->n_open; i++)
        if (reader->open_files[i] == from)
            reader->open_files[i] = index;
}

/* Another text lies there now: it becomes a file of its own. */
static freshet_code make_two(file_reader *reader, uint32_t index, freshet_error *err)
{
    uint32_t other = 0;
    freshet_code code = track_split(reader->track, index, &other, err);

    if (code != FRESHET_OK)
        return code;
    forget_place(reader, index);
    swap_open(reader, index, other);
    file_queue_take(reader);
    file_queue_put_first(reader, other);
    return FRESHET_OK;
}

static freshet_code check_read(file_reader *reader, uint32_t index, file_fate *fate,
                               freshet_error *err)
{
    tracked_file *file = track_file(reader->track, index);
    mark_file it = open_mark_file(reader, file);
    mark_verdict verdict = MARK_SAME;
    struct stat info;
    freshet_code code = mark_compare(&file->mark, file->offset, &it, true, &verdict, NULL, err);

    if (code != FRESHET_OK)
        return code;
    if (os.fstat(file->fd, &info) != 0)
        return error_system(err, "cannot look at", file->path);
    file->size = info.st_size;
    if (file->size == 0 && !it.is_whole)
        return FRESHET_OK; /* nothing to read, and nothing to tell by */
    if (verdict == MARK_SHORTER) {
        *fate = FILE_IS_WAITING;
        known_waits(reader, index, why_shorter, "");
        return FRESHET_OK;
    }
    stop_waiting(file);
    if (verdict == MARK_OTHER) {
        *fate = FILE_IS_OTHER;
        return make_two(reader, index, err);
    }
    if (file->mark.old_length > 0 && !file->is_gzip) {
        code = mark_renew(&file->mark, file->offset, &it, err);
        file->moved = true;
    }
    return code == FRESHET_OK ? track_read_on(reader->track, index, err) : code;
}

/* ---- names ----------------------------------------------------------------------------------- */

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* Of a name without ".gz". */
static size_t bare_length(const char *name)
{
    size_t n = strlen(name);

    return n > 3 && strcmp(name + n - 3, ".gz") == 0 ? n - 3 : n;
}

/* Of what a name begins with: up to the first digit, dot, hyphen or underscore; where it begins so
 * itself, up to the first dot. */
static size_t stem_length(const char *name)
{
    size_t n = strcspn(name, "0123456789.-_");

    return n > 0 ? n : strcspn(name, ".");
}

typedef enum relation {
    NAMES_DIFFER,
    NAMES_BEGIN_ALIKE, /* app.log, app-20240301.log */
    NAMES_GO_ON,       /* app.log, app.log.1 */
    NAMES_ARE_TWINS,   /* app.log, app.log.gz, beside each other */
    NAMES_ARE_SAME     /* the same path below the reader's folder */
} relation;

static relation relate(const tracked_file *known, const tracked_file *file)
{
    const char *known_way = known->path + known->way;
    const char *way = file->path + file->way;
    const char *known_name = base_of(known->path);
    const char *name = base_of(file->path);
    size_t known_bare = bare_length(known_name);
    size_t bare = bare_length(name);
    size_t stem = stem_length(name);

    if (known->mark.old_length > 0 && known->absent) {
        size_t n = strlen(known->path);
        size_t m = strlen(way);
        if (n >= m && strcmp(known->path + n - m, way) == 0 &&
            (n == m || known->path[n - m - 1] == '/'))
            return NAMES_ARE_SAME;
    } else if (strcmp(known_way, way) == 0) {
        return NAMES_ARE_SAME;
    }
    if (known_bare == bare && memcmp(known_name, name, bare) == 0 && known->path != file->path &&
        known_name - known_way == name - way && memcmp(known_way, way, (size_t)(name - way)) == 0)
        return NAMES_ARE_TWINS;
    if (known_bare <= bare && memcmp(known_name, name, known_bare) == 0)
        return NAMES_GO_ON;
    return stem == stem_length(known_name) && memcmp(known_name, name, stem) == 0
               ? NAMES_BEGIN_ALIKE
               : NAMES_DIFFER;
}

/* ---- one that nothing has been read of ------------------------------------------------------- */

/* What the search has found. */
typedef struct finding {
    file_reader *reader;
    uint32_t index;
    mark_file open;
    freshet_error *err;
    uint32_t n_compared;
    uint32_t same;      /* the file that it is; FILE_NONE: none yet */
    bool more;          /* its text goes on behind what was read */
    uint32_t wait_for;  /* a file that it may become */
    const char *why;    /* it waits */
    uint32_t replaced;  /* a file of its path, of another text */
    uint32_t same_text; /* of another name, and its text */
} finding;

/* Is the file still where it was, and no shorter than what was read of it? */
static bool is_in_place(const tracked_file *known)
{
    struct stat info;

    if (known->absent || file_is_gone(known))
        return false;
    return known->is_gzip || os.stat(known->path, &info) != 0 || info.st_size >= known->offset;
}

static freshet_code known_compare(finding *finding, const tracked_file *known, bool quick,
                                  mark_verdict *verdict)
{
    finding->n_compared++;
    return mark_compare(&known->mark, known->offset, &finding->open, quick, verdict, &finding->more,
                        finding->err);
}

/* A file of the same path, or of the same inode: the text alone decides. */
static freshet_code try_same_place(finding *finding, uint32_t each, bool is_path)
{
    const tracked_file *known = track_file(finding->reader->track, each);
    mark_verdict verdict = MARK_OTHER;
    freshet_code code = known_compare(finding, known, false, &verdict);

    if (code != FRESHET_OK)
        return code;
    if (verdict == MARK_SAME) {
        finding->same = each;
    } else if (verdict == MARK_SHORTER && finding->wait_for == FILE_NONE) {
        finding->wait_for = each;
        finding->why = why_shorter;
    } else if (verdict == MARK_OTHER && is_path && finding->replaced == FILE_NONE) {
        finding->replaced = each;
    }
    return FRESHET_OK;
}

/* The other file is gone, or cut: its text may have come here. */
static freshet_code try_gone(finding *finding, uint32_t each, relation names)
{
    const file_reader *reader = finding->reader;
    const tracked_file *known = track_file(reader->track, each);
    const tracked_file *file = track_file(reader->track, finding->index);
    bool go_together =
        names >= NAMES_GO_ON || (names == NAMES_BEGIN_ALIKE && known->is_gzip != file->is_gzip);
    mark_verdict verdict = MARK_OTHER;
    freshet_code code = known_compare(finding, known, false, &verdict);

    if (code != FRESHET_OK)
        return code;
    if (verdict == MARK_SAME && go_together) {
        finding->same = each;
    } else if (verdict == MARK_SAME && finding->same_text == FILE_NONE) {
        finding->same_text = each;
    } else if (verdict == MARK_SHORTER && go_together && finding->wait_for == FILE_NONE) {
        finding->wait_for = each;
        finding->why = why_shorter;
    }
    return FRESHET_OK;
}

/* The other file is there: this one may be its compression, or its copy, in the making. */
static freshet_code try_there(finding *finding, uint32_t each, relation names)
{
    const file_reader *reader = finding->reader;
    const tracked_file *file = track_file(reader->track, finding->index);
    bool is_all = reader->base.mode == READ_ALL;
    bool is_twin = names == NAMES_ARE_TWINS;
    bool is_long = file->waits_since_us != 0 && file->waits_size == file->size &&
                   os.monotonic_us() - file->waits_since_us >= FILE_COPY_US;
    mark_verdict verdict = MARK_OTHER;
    freshet_code code;

    if (!is_twin && (names != NAMES_GO_ON || is_all))
        return FRESHET_OK;
    code = known_compare(finding, track_file(reader->track, each), !is_all, &verdict);
    if (code != FRESHET_OK || verdict == MARK_OTHER)
        return code;
    if (is_twin || !is_long) {
        finding->wait_for = each;
        finding->why = is_twin ? why_twin : why_copy;
    } else if (finding->same_text == FILE_NONE) {
        finding->same_text = each;
    }
    return FRESHET_OK;
}

static freshet_code try_text(finding *finding, uint32_t each)
{
    const tracked_file *known = track_file(finding->reader->track, each);
    relation names = relate(known, track_file(finding->reader->track, finding->index));

    if (names == NAMES_ARE_SAME)
        return FRESHET_OK; /* it was tried */
    return is_in_place(known) ? try_there(finding, each, names) : try_gone(finding, each, names);
}

/* Tries those of the chain that were read, until one is the same. */
static freshet_code try_chain(finding *finding, track_key by, uint64_t key)
{
    const file_track *track = finding->reader->track;
    const tracked_file *file = track_file(track, finding->index);
    freshet_code code = FRESHET_OK;

    for (uint32_t each = track_find(track, by, key);
         each != FILE_NONE && code == FRESHET_OK && finding->same == FILE_NONE &&
         finding->n_compared < CANDIDATES_MAX;
         each = track_file(track, each)->links[by].older) {
        const tracked_file *known = track_file(track, each);
        if (each == finding->index || !track_is_read(known) || !mark_is_set(&known->mark))
            continue;
        if (by == TRACK_BY_INODE)
            code = try_same_place(finding, each, false);
        else if (by == TRACK_BY_WAY && relate(known, file) == NAMES_ARE_SAME)
            code = try_same_place(finding, each, true);
        else
            code = try_text(finding, each);
    }
    return code;
}

/* By the beginnings, the longest first. */
static freshet_code try_heads(finding *finding, const file_mark *mark)
{
    freshet_code code = FRESHET_OK;

    for (uint32_t i = mark->n_heads; i-- > 0 && code == FRESHET_OK && finding->same == FILE_NONE;)
        code = try_chain(finding, TRACK_BY_HEAD, track_key_of_head(i, mark->heads[i]));
    return code;
}

/* By the path with ".gz", or without it. */
static freshet_code try_twin(finding *finding, const char *way)
{
    char other[4096];
    size_t n = strlen(way);
    size_t bare = n - (strlen(base_of(way)) - bare_length(base_of(way)));

    if (n + 4 > sizeof(other))
        return FRESHET_OK;
    snprintf(other, sizeof(other), "%.*s%s", (int)bare, way, bare < n ? "" : ".gz");
    return try_chain(finding, TRACK_BY_WAY, track_key_of_way(other));
}

/* Those of positions without marks, which are not found by a beginning. */
static freshet_code try_old(finding *finding)
{
    const file_reader *reader = finding->reader;
    const tracked_file *file = track_file(reader->track, finding->index);
    freshet_code code = FRESHET_OK;

    for (uint32_t i = 0; i < reader->n_old && code == FRESHET_OK && finding->same == FILE_NONE;
         i++) {
        const tracked_file *known = track_file(reader->track, i);
        if (known->mark.old_length > 0 && known->absent && relate(known, file) != NAMES_DIFFER)
            code = try_text(finding, i);
    }
    return code;
}

static freshet_code search(finding *finding)
{
    const tracked_file *file = track_file(finding->reader->track, finding->index);
    const char *way = file->path + file->way;
    file_mark here = {.first = file->mark.first};
    freshet_code code;

    code = try_chain(finding, TRACK_BY_WAY, track_key_of_way(way));
    if (code == FRESHET_OK && finding->same == FILE_NONE)
        code = try_chain(finding, TRACK_BY_WAY, track_key_of_name(file->path));
    if (code == FRESHET_OK && finding->same == FILE_NONE)
        code = try_chain(finding, TRACK_BY_INODE, file->identity.inode);
    if (code == FRESHET_OK && finding->same == FILE_NONE)
        code = try_twin(finding, way);
    if (code == FRESHET_OK && finding->same == FILE_NONE)
        code = mark_take_heads(&here, &finding->open, INT64_MAX, finding->err);
    if (code == FRESHET_OK && finding->same == FILE_NONE)
        code = try_heads(finding, &here);
    return code == FRESHET_OK && finding->same == FILE_NONE ? try_old(finding) : code;
}

/* The file is that one, which was read. */
static freshet_code make_one(finding *finding)
{
    file_reader *reader = finding->reader;
    uint32_t index = finding->same;
    tracked_file *known = track_file(reader->track, index);
    char was[4096];
    freshet_code code;

    file_queue_take(reader);
    if (known->queued) { /* first what is left of it where it was */
        file_queue_put_last(reader, finding->index);
        return FRESHET_OK;
    }
    snprintf(was, sizeof(was), "%s", known->path);
    file_descriptor_close(reader, index);
    forget_place(reader, index);
    forget_place(reader, finding->index);
    swap_open(reader, finding->index, index);
    code = track_merge(reader->track, index, finding->index, finding->err);
    if (code != FRESHET_OK)
        return code;
    reader->needs_listing = true; /* something may lie where it was */
    stop_waiting(known);
    say_known(reader, was, known);
    if (finding->more) {
        file_queue_put_first(reader, index);
    } else {
        known->read_size = known->size;
        known->read_modified_ns = known->modified_ns;
    }
    return FRESHET_OK;
}

static freshet_code recognise(file_reader *reader, uint32_t index, file_fate *fate,
                              freshet_error *err)
{
    tracked_file *file = track_file(reader->track, index);
    finding finding = {.reader = reader,
                       .index = index,
                       .open = open_mark_file(reader, file),
                       .err = err,
                       .same = FILE_NONE,
                       .wait_for = FILE_NONE,
                       .replaced = FILE_NONE,
                       .same_text = FILE_NONE};
    freshet_code code = search(&finding);

    if (code != FRESHET_OK)
        return code;
    if (finding.same != FILE_NONE) {
        *fate = FILE_IS_OTHER;
        return make_one(&finding);
    }
    if (finding.wait_for != FILE_NONE) {
        *fate = FILE_IS_WAITING;
        known_waits(reader, index, finding.why,
                    finding.why == why_shorter ? ""
                                               : track_file(reader->track, finding.wait_for)->path);
        return FRESHET_OK;
    }
    stop_waiting(file);
    if (finding.replaced != FILE_NONE)
        code = note_replaced(reader, finding.replaced, index, true, err);
    else if (finding.same_text != FILE_NONE)
        code = note_replaced(reader, finding.same_text, index, false, err);
    return code;
}

freshet_code file_know(file_reader *reader, uint32_t index, file_fate *fate, freshet_error *err)
{
    const tracked_file *file = track_file(reader->track, index);

    *fate = FILE_IS_READ;
    if (track_is_read(file))
        return check_read(reader, index, fate, err);
    return recognise(reader, index, fate, err);
}

freshet_code file_remember(file_reader *reader, uint32_t index, freshet_error *err)
{
    tracked_file *file = track_file(reader->track, index);
    mark_file it = open_mark_file(reader, file);
    freshet_code code = FRESHET_OK;

    if (!track_is_read(file))
        return FRESHET_OK;
    if (file_is_whole(reader) && !mark_is_set(&file->mark))
        code = mark_take_whole(&file->mark, &it, err);
    if (!file_is_whole(reader)) {
        mark_take_last(&file->mark, reader->last.bytes, reader->last.length, reader->last.offset);
        if (file->mark.old_length == 0 && mark_wants_heads(&file->mark, file->offset))
            code = mark_take_heads(&file->mark, &it, file->offset, err);
    }
    return code == FRESHET_OK ? track_read_on(reader->track, index, err) : code;
}
