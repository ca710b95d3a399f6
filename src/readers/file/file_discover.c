/* file_discover.c - which files there are, and which have something to read; see
 * file_internal.h. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "readers/file/file_internal.h"

/* ---- the queue ------------------------------------------------------------------------------- */

void file_queue_put_last(file_reader *reader, uint32_t index)
{
    tracked_file *file = track_file(reader->track, index);

    if (file->queued)
        return;
    file->queued = true;
    file->next_queued = FILE_NONE;
    if (reader->queue_head == FILE_NONE)
        reader->queue_head = index;
    else
        track_file(reader->track, reader->queue_last)->next_queued = index;
    reader->queue_last = index;
}

void file_queue_take(file_reader *reader)
{
    tracked_file *file = track_file(reader->track, reader->queue_head);

    file->queued = false;
    reader->queue_head = file->next_queued;
}

void file_queue_put_first(file_reader *reader, uint32_t index)
{
    tracked_file *file = track_file(reader->track, index);

    assert(!file->queued);
    file->queued = true;
    file->next_queued = reader->queue_head;
    if (reader->queue_head == FILE_NONE)
        reader->queue_last = index;
    reader->queue_head = index;
}

void file_queue_bring_first(file_reader *reader, uint32_t index)
{
    uint32_t before = reader->queue_head;

    if (before == index || !track_file(reader->track, index)->queued)
        return;
    while (track_file(reader->track, before)->next_queued != index)
        before = track_file(reader->track, before)->next_queued;
    track_file(reader->track, before)->next_queued = track_file(reader->track, index)->next_queued;
    if (reader->queue_last == index)
        reader->queue_last = before;
    track_file(reader->track, index)->next_queued = reader->queue_head;
    reader->queue_head = index;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static void forget_open(file_reader *reader, uint32_t index)
{
    for (uint32_t i = 0; i < reader->n_open; i++)
        if (reader->open_files[i] == index) {
            memmove(&reader->open_files[i], &reader->open_files[i + 1],
                    (reader->n_open - i - 1) * sizeof(index));
            reader->n_open--;
            return;
        }
}

void file_descriptor_close(file_reader *reader, uint32_t index)
{
    tracked_file *file = track_file(reader->track, index);

    forget_open(reader, index);
    if (file->fd >= 0)
        os.close(file->fd);
    file->fd = -1;
    file->stray_since_us = 0;
    file_side_forget(reader, index, false);
}

/* Is what was opened by the path the file that was meant? A batch that has read nothing of it takes
 * what is there. */
static bool is_the_one(const file_reader *reader, uint32_t index, const struct stat *info)
{
    tracked_file *file = track_file(reader->track, index);
    const file_identity now = {.device = info->st_dev, .inode = info->st_ino};

    if (info->st_ino == file->identity.inode && info->st_dev == file->identity.device)
        return true;
    if (reader->base.mode != READ_ALL || file->offset > 0 ||
        track_identify(reader->track, index, &now, NULL) != FRESHET_OK)
        return false;
    file->open_size = info->st_size;
    return true;
}

freshet_code file_descriptor(file_reader *reader, uint32_t index, freshet_error *err)
{
    tracked_file *file = track_file(reader->track, index);

    forget_open(reader, index);
    if (file->fd < 0) {
        struct stat info;
        if (reader->n_open == FILE_DESCRIPTORS_MAX)
            file_descriptor_close(reader, reader->open_files[0]);
        file->fd = os.open(file->path, O_RDONLY, 0);
        if (file->fd < 0)
            return error_system(err, "cannot open", file->path);
        if (os.fstat(file->fd, &info) != 0 || !S_ISREG(info.st_mode) ||
            !is_the_one(reader, index, &info)) {
            os.close(file->fd);
            file->fd = -1;
            return error_set(err, FRESHET_FAILED, FRESHET_STOP, file->path,
                             "another file has taken the place of this one before it was read");
        }
        file->is_gzip = file_is_gzip(reader, file->fd);
    }
    reader->open_files[reader->n_open++] = index;
    return FRESHET_OK;
}

bool file_is_gone(const tracked_file *file)
{
    struct stat info;

    if (os.stat(file->path, &info) != 0)
        return errno == ENOENT || errno == ENOTDIR;
    return info.st_ino != file->identity.inode || info.st_dev != file->identity.device;
}

void file_set_aside(file_reader *reader, uint32_t index, const freshet_error *problem)
{
    tracked_file *file = track_file(reader->track, index);

    if (file->fd < 0 && file_is_gone(file)) {
        log_event(FILE_GONE, file_reader_id(reader), file->path);
        file->absent = true;
    } else {
        if (file->bad_since_us == 0 || file->bad_size != file->size ||
            file->bad_modified_ns != file->modified_ns)
            file->bad_since_us = os.monotonic_us();
        file->bad_size = file->size;
        file->bad_modified_ns = file->modified_ns;
        if (file->retry_us == 0) {
            reader->n_retry++;
            file->retry_pause_us = FILE_RETRY_FIRST_US;
            log_event(FILE_FAILED, file_reader_id(reader), file->path, problem->text);
        } else if (file->retry_pause_us < FILE_RETRY_MOST_US) {
            file->retry_pause_us *= 2;
        }
        file->retry_us = os.monotonic_us() + file->retry_pause_us;
    }
    file_descriptor_close(reader, index);
    file_queue_take(reader);
}

bool file_is_bad(const file_reader *reader, const tracked_file *file)
{
    if (!file_skips_bad(reader))
        return false;
    return reader->base.mode == READ_ALL ||
           (file->bad_since_us != 0 && file->bad_size == file->size &&
            file->bad_modified_ns == file->modified_ns &&
            os.monotonic_us() - file->bad_since_us >= FILE_BAD_US);
}

void file_give_up(file_reader *reader, uint32_t index, const freshet_error *problem)
{
    tracked_file *file = track_file(reader->track, index);

    log_event(FILE_SKIPPED, file_reader_id(reader), file->path, problem->text);
    file->finished = reader->base.mode == READ_ALL;
    file->read_size = file->size;
    file->read_modified_ns = file->modified_ns;
    file->retry_us = 0;
    file->bad_since_us = 0;
    file_descriptor_close(reader, index);
    file_queue_take(reader);
}

/* ---- discovery ------------------------------------------------------------------------------- */

freshet_code file_list_wanted(file_reader *reader, arena *arena, file_watch *watch,
                              file_listing *out, freshet_error *err)
{
    freshet_code code = file_list(arena, reader->path, file_order(reader), watch, out, err);
    uint32_t kept = 0;

    if (code == FRESHET_OK)
        file_days_cut(reader, arena, out);
    if (code != FRESHET_OK || reader->format_is_declared || reader->format == NULL)
        return code;
    for (uint32_t i = 0; i < out->n; i++) {
        if (format_of_path(out->items[i].path) == reader->format || out->n == 1) {
            out->items[kept++] = out->items[i];
        } else if (!reader->said_ignored) {
            reader->said_ignored = true;
            log_event(FILE_OF_OTHER_FORMAT, file_reader_id(reader), out->items[i].path);
        }
    }
    out->n = kept;
    return FRESHET_OK;
}

/* Queues the file if it has changed since it was read to its end. */
static void queue_if_changed(file_reader *reader, uint32_t index)
{
    const tracked_file *file = track_file(reader->track, index);
    const bool waits = file->retry_us != 0 && os.monotonic_us() < file->retry_us;
    const bool is_read =
        file->size == file->read_size && file->modified_ns == file->read_modified_ns;

    if (!waits && !is_read && (file->read_size >= 0 || file->size > 0))
        file_queue_put_last(reader, index);
}

/* What a stream cannot read or list now: it looks again, and says so once. */
static void say_failed(file_reader *reader, const char *path, const char *problem,
                       const char *what_then)
{
    if (!reader->said_failed)
        log_event(FILES_NOT_LISTED, file_reader_id(reader), path, problem, what_then);
    reader->said_failed = true;
    reader->needs_listing = true;
}

/* What will wait as long as it is as it is need not be looked at each second. */
static bool waits_for_long(const tracked_file *file)
{
    return file->waits_since_us != 0 &&
           os.monotonic_us() - file->waits_since_us > 2 * (int64_t)FILE_COPY_US;
}

static freshet_code note(file_reader *reader, const listed_file *listed, bool is_listing,
                         freshet_error *err)
{
    uint32_t index = 0;
    freshet_code code = track_note(reader->track, listed, &index, err);
    tracked_file *file;

    if (code != FRESHET_OK)
        return code;
    file = track_file(reader->track, index);
    file->listing = reader->listing;
    reader->n_retry += is_listing && file->retry_us != 0 && !waits_for_long(file);
    queue_if_changed(reader, index);
    return FRESHET_OK;
}

/* Open files that the listing has not: removed, or renamed to where we do not look. What is
 * still written to them is read until nothing has come for a while. */
static void note_strays(file_reader *reader)
{
    int64_t now_us = os.monotonic_us();

    reader->n_stray = 0;
    for (uint32_t i = reader->n_open; i-- > 0;) {
        uint32_t index = reader->open_files[i];
        tracked_file *file = track_file(reader->track, index);
        struct stat info;
        if (file->listing == reader->listing) {
            file->stray_since_us = 0;
            continue;
        }
        if (os.fstat(file->fd, &info) != 0)
            continue;
        if (file->stray_since_us == 0 || info.st_size != file->read_size)
            file->stray_since_us = now_us;
        reader->n_stray++;
        file->size = info.st_size;
        queue_if_changed(reader, index);
        if (!file->queued && now_us - file->stray_since_us >= FILE_STRAY_US)
            file_descriptor_close(reader, index);
    }
}

static void say_missing(file_reader *reader, bool missing)
{
    if (missing && !reader->said_missing)
        log_event(PATH_MISSING, file_reader_id(reader), reader->path);
    if (!missing && reader->said_missing)
        log_event(PATH_THERE, file_reader_id(reader), reader->path);
    reader->said_missing = missing;
}

/* A folder that may not be read fails a batch; a stream goes on with the others and looks again. */
static freshet_code say_unreadable(file_reader *reader, const file_listing *listing,
                                   freshet_error *err)
{
    char problem[PATH_MAX + 300];

    if (reader->base.mode == READ_ALL && !file_skips_bad(reader))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, listing->unreadable,
                         "it cannot be read: %s", strerror(listing->problem));
    if (file_skips_bad(reader) && !reader->said_failed) {
        snprintf(problem, sizeof problem, "%s: %s", listing->unreadable,
                 strerror(listing->problem));
        free(reader->bad_folder);
        reader->bad_folder = strdup(problem);
        if (reader->bad_folder == NULL)
            return error_memory(err, "listing files");
    }
    if (reader->base.mode == READ_ALL) {
        log_event(FOLDER_LEFT_OUT, file_reader_id(reader), listing->unreadable,
                  strerror(listing->problem));
        return FRESHET_OK;
    }
    snprintf(problem, sizeof problem, "%s cannot be read", listing->unreadable);
    say_failed(reader, problem, strerror(listing->problem), ", and other files go on");
    return FRESHET_OK;
}

freshet_code file_discover_all(file_reader *reader, freshet_error *err)
{
    file_listing listing;
    freshet_error problem = {0};
    int64_t now_us = os.monotonic_us();
    freshet_code code;

    arena_reset(reader->scratch);
    reader->needs_listing = false;
    reader->listing++;
    reader->next_listing_us = now_us + FILE_LIST_EVERY_US;
    code = file_list_wanted(reader, reader->scratch, reader->watch, &listing, &problem);
    if (code != FRESHET_OK && reader->base.mode == READ_FOLLOW && code != FRESHET_NO_MEMORY) {
        say_failed(reader, problem.at, problem.text, " later");
        return FRESHET_OK;
    }
    if (code != FRESHET_OK) {
        if (err != NULL)
            *err = problem;
        return code;
    }
    if (reader->base.mode == READ_FOLLOW)
        say_missing(reader, listing.missing);
    if (reader->base.mode == READ_FOLLOW)
        file_say_odd(reader, &listing);
    reader->signature = file_list_signature(&listing);
    if (listing.unreadable == NULL)
        reader->said_failed = false;
    else
        code = say_unreadable(reader, &listing, err);
    reader->n_retry = 0;
    for (uint32_t i = 0; i < listing.n && code == FRESHET_OK; i++)
        code = note(reader, &listing.items[i], true, err);
    if (code == FRESHET_OK && reader->base.mode == READ_FOLLOW)
        note_strays(reader);
    reader->listed_us = os.monotonic_us();
    reader->listing_took_us = reader->listed_us - now_us;
    return code;
}

/* Files of the news, in the order in which they are to be read. */
static freshet_code note_news(file_reader *reader, listed_file *files, uint32_t n,
                              freshet_error *err)
{
    freshet_code code = FRESHET_OK;

    file_list_sort(files, n, file_order(reader));
    for (uint32_t i = 0; i < n && code == FRESHET_OK; i++)
        if (i == 0 || strcmp(files[i].path, files[i - 1].path) != 0)
            code = note(reader, &files[i], false, err);
    return code;
}

static bool discover_is_wanted(const file_reader *reader, const char *path)
{
    return reader->format_is_declared || format_of_path(path) == reader->format ||
           strcmp(path, reader->path) == 0;
}

#define NEWS_MAX 4096 /* in one go; then the batch has its turn */

freshet_code file_discover_news(file_reader *reader, freshet_error *err)
{
    listed_file *files = NULL;
    const char *path = NULL;
    uint32_t n = 0;
    int64_t now_us = os.monotonic_us();
    freshet_code code = FRESHET_OK;
    watch_news news;

    arena_reset(reader->scratch);
    while (n < NEWS_MAX && (news = file_watch_next(reader->watch, &path)) != WATCH_NOTHING) {
        listed_file *added;
        if (news == WATCH_LIST) {
            reader->needs_listing = true;
            reader->next_listing_us = reader->listed_us + 2 * reader->listing_took_us;
            continue;
        }
        if (!discover_is_wanted(reader, path))
            continue;
        if (n > 0 && strcmp(files[n - 1].path, path) == 0) {
            file_list_look(files[n - 1].path, &files[n - 1]);
            continue;
        }
        if (files == NULL)
            files = arena_alloc(reader->scratch, NEWS_MAX * sizeof(*files));
        added = files == NULL ? NULL : &files[n];
        path = arena_text(reader->scratch, path);
        if (added == NULL || path == NULL)
            return error_memory(err, "listing files");
        n += file_list_look(path, added);
    }
    code = note_news(reader, files, n, err);
    if (code != FRESHET_OK)
        return code;
    if (!file_watch_is_complete(reader->watch) || reader->n_retry > 0 || reader->n_stray > 0)
        reader->needs_listing = true;
    if ((reader->needs_listing && now_us >= reader->next_listing_us) ||
        now_us >= reader->listed_us + FILE_LIST_ALWAYS_US)
        return file_discover_all(reader, err);
    return FRESHET_OK;
}
