/* history_folder.c - see history_folder.h.
 *
 * What was renamed is certain only when its folder is synced, and a new folder when the one above
 * it is; so after renaming, every folder from the file's to the history's own is synced, once for
 * the files that share it. Calls take the files in any order and work on them sorted: those of one
 * partition stand together then.
 */
#include "writers/history/history_folder.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/os.h"
#include "base/text.h"

#define KEEPING "keeping the files of a history"
#define OWN ".freshet"
#define ASIDE ".aside"
#define REPLACE OWN "/replace"
#define REPLACE_NEW OWN "/replace.new"
#define NOTE OWN "/checkpoint"
#define NOTE_BYTES 80u
#define REPLACE_HEAD "freshet replaces partitions by these files\n"
#define REPLACE_ALL_HEAD "freshet replaces all partitions by these files\n"
#define REPLACE_END "end\n"
#define REPLACE_BYTES_MAX ((size_t)256 << 20)

struct history_folder {
    char *path;
    char *own; /* what is ours in it, and the files there: */
    const char *replace, *replace_new, *note;
    int lock;
    arena *kept;    /* the paths above */
    arena *scratch; /* of one call */
};

typedef struct file_list {
    const char **files;
    uint32_t n;
} file_list;

/* ---- paths ----------------------------------------------------------------------------------- */

static const char *below(const history_folder *folder, const char *file)
{
    return arena_format(folder->scratch, "%s/%s", folder->path, file);
}

const char *history_folder_path(const history_folder *folder)
{
    return folder->path;
}

const char *history_folder_aside(const history_folder *folder, arena *arena, const char *file)
{
    char *path = arena_format(arena, "%s/" OWN "/%s" ASIDE, folder->path, file);
    for (char *c = path == NULL ? NULL : path + strlen(folder->path) + sizeof OWN + 1;
         c != NULL && *c != '\0'; c++)
        if (*c == '/')
            *c = '~';
    return path;
}

bool history_folder_has(const history_folder *folder, const char *file)
{
    struct stat found;
    arena_reset(folder->scratch);
    const char *path = below(folder, file);
    return path != NULL && os.stat(path, &found) == 0;
}

/* ---- folders --------------------------------------------------------------------------------- */

static freshet_code sync_path(const char *path, freshet_error *err)
{
    return durable_path(path) ? FRESHET_OK : error_system(err, "cannot make durable", path);
}

/* Makes the folders of a path that are not there; `path` is changed and put back meanwhile. */
static freshet_code make_folders(char *path, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (char *c = path + 1; code == FRESHET_OK; c++) {
        if (*c != '/' && *c != '\0')
            continue;
        char end = *c;
        struct stat found;
        *c = '\0';
        bool is_there = os.stat(path, &found) == 0 && S_ISDIR(found.st_mode);
        if (!is_there && os.mkdir(path, 0777) != 0 && errno != EEXIST)
            code = error_system(err, "cannot make the folder", path);
        *c = end;
        if (end == '\0')
            break;
    }
    return code;
}

/* The folder of a file of ours, as a path of its own in scratch: "" for the history's own. */
static char *partition_of(const history_folder *folder, const char *file)
{
    const char *slash = strrchr(file, '/');
    return arena_copy(folder->scratch, file, slash == NULL ? 0 : (size_t)(slash - file));
}

/* Syncs the partition's folder and all above it, up to the history's. */
static freshet_code sync_partition(history_folder *folder, const char *partition,
                                   freshet_error *err)
{
    char *rest = arena_text(folder->scratch, partition);
    freshet_code code = FRESHET_OK;
    while (code == FRESHET_OK) {
        const char *path = rest == NULL ? NULL : below(folder, rest);
        if (path == NULL)
            return error_memory(err, KEEPING);
        code = sync_path(path, err);
        char *slash = strrchr(rest, '/');
        if (*rest == '\0')
            break;
        *(slash == NULL ? rest : slash) = '\0';
    }
    return code;
}

/* ---- opening --------------------------------------------------------------------------------- */

static freshet_code take_lock(history_folder *folder, freshet_error *err)
{
    const char *path = below(folder, OWN "/lock");
    if (path == NULL)
        return error_memory(err, KEEPING);
    folder->lock = os.open(path, O_RDWR | O_CREAT, 0666);
    if (folder->lock < 0)
        return error_system(err, "cannot open", path);
    if (os.lock(folder->lock) == 0)
        return FRESHET_OK;
    if (errno != EWOULDBLOCK)
        return error_system(err, "cannot lock", path);
    return error_set(
        err, FRESHET_TRY_AGAIN, FRESHET_STOP, folder->path,
        "another run writes to the history in %s: wait for its end, or give this one another path",
        folder->path);
}

static freshet_code finish_replacing(history_folder *folder, freshet_error *err);

/* False where memory is out. */
static bool name_files(history_folder *folder, const char *path, size_t length)
{
    folder->kept = arena_open();
    folder->scratch = arena_open();
    if (folder->kept == NULL || folder->scratch == NULL)
        return false;
    folder->path = arena_copy(folder->kept, path, length);
    if (folder->path == NULL)
        return false;
    folder->own = arena_format(folder->kept, "%s/" OWN, folder->path);
    folder->replace = arena_format(folder->kept, "%s/" REPLACE, folder->path);
    folder->replace_new = arena_format(folder->kept, "%s/" REPLACE_NEW, folder->path);
    folder->note = arena_format(folder->kept, "%s/" NOTE, folder->path);
    return folder->own != NULL && folder->replace != NULL && folder->replace_new != NULL &&
           folder->note != NULL;
}

freshet_code history_folder_open(const char *path, history_folder **out, freshet_error *err)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 0 || length > HISTORY_PATH_MAX)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, NULL,
                         "the path of a history must have 1 to %u bytes", HISTORY_PATH_MAX);
    history_folder *folder = calloc(1, sizeof *folder);
    if (folder == NULL)
        return error_memory(err, KEEPING);
    folder->lock = -1;
    freshet_code code = name_files(folder, path, length) ? make_folders(folder->own, err)
                                                         : error_memory(err, KEEPING);
    if (code == FRESHET_OK)
        code = take_lock(folder, err);
    if (code == FRESHET_OK)
        code = finish_replacing(folder, err);
    if (code == FRESHET_OK)
        *out = folder;
    else
        history_folder_close(folder);
    return code;
}

void history_folder_close(history_folder *folder)
{
    if (folder == NULL)
        return;
    if (folder->lock >= 0)
        os.close(folder->lock);
    arena_close(folder->scratch);
    arena_close(folder->kept);
    free(folder);
}

/* ---- aside ----------------------------------------------------------------------------------- */

freshet_code history_folder_sync(const char *path, freshet_error *err)
{
    return sync_path(path, err);
}

freshet_code history_folder_sync_aside(history_folder *folder, freshet_error *err)
{
    return sync_path(folder->own, err);
}

static freshet_code remove_file(const char *path, freshet_error *err)
{
    return os.unlink(path) == 0 || errno == ENOENT ? FRESHET_OK
                                                   : error_system(err, "cannot remove", path);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), n = strlen(end);
    return length >= n && strcmp(text + length - n, end) == 0;
}

static const char *name_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash == NULL ? file : slash + 1;
}

static bool is_in_list(const file_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (strcmp(name_of(list->files[i]), name) == 0)
            return true;
    return false;
}

/* Removes from a folder the regular files that are not in the list; without one, those that lie
 * aside. */
static freshet_code remove_files(history_folder *folder, const char *path, const file_list *but,
                                 freshet_error *err)
{
    DIR *entries = opendir(path);
    if (entries == NULL)
        return error_system(err, "cannot read the folder", path);
    freshet_code code = FRESHET_OK;
    for (const struct dirent *entry; code == FRESHET_OK && (entry = readdir(entries)) != NULL;) {
        struct stat found;
        const char *name = entry->d_name;
        if (but == NULL ? !ends_with(name, ASIDE) : is_in_list(but, name))
            continue;
        const char *inside = arena_format(folder->scratch, "%s/%s", path, name);
        if (inside == NULL)
            code = error_memory(err, KEEPING);
        else if (os.stat(inside, &found) == 0 && S_ISREG(found.st_mode))
            code = remove_file(inside, err);
    }
    closedir(entries);
    return code;
}

freshet_code history_folder_forget(history_folder *folder, freshet_error *err)
{
    arena_reset(folder->scratch);
    return remove_files(folder, folder->own, NULL, err);
}

/* ---- being seen ------------------------------------------------------------------------------ */

static int compare_files(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A sorted copy in scratch. */
static bool sorted(history_folder *folder, const char *const *files, uint32_t n, file_list *out)
{
    out->n = n;
    out->files = arena_alloc(folder->scratch, (n + 1) * sizeof *out->files);
    if (out->files == NULL)
        return false;
    if (n > 0) {
        memcpy(out->files, files, n * sizeof *files);
        qsort(out->files, n, sizeof *out->files, compare_files);
    }
    return true;
}

/* Renames a file that lies aside to its own name. One that is no longer aside is seen already. */
static freshet_code folder_show(history_folder *folder, const char *file, freshet_error *err)
{
    struct stat found;
    const char *aside = history_folder_aside(folder, folder->scratch, file);
    const char *path = below(folder, file);
    if (aside == NULL || path == NULL)
        return error_memory(err, KEEPING);
    if (os.rename(aside, path) == 0)
        return FRESHET_OK;
    if (errno != ENOENT)
        return error_system(err, "cannot show the file", path);
    if (os.stat(path, &found) == 0)
        return FRESHET_OK;
    return error_set(
        err, FRESHET_FAILED, FRESHET_STOP, path,
        "the file %s of the history is gone: it was written and lay aside as %s, and something has "
        "removed it",
        path, aside);
}

bool history_same_partition(const char *a, const char *b)
{
    const size_t length = (size_t)(name_of(a) - a);
    return strncmp(a, b, length) == 0 && strchr(b + length, '/') == NULL;
}

static freshet_code show_partition(history_folder *folder, const file_list *list, bool alone,
                                   freshet_error *err)
{
    char *partition = partition_of(folder, list->files[0]);
    char *path =
        partition == NULL ? NULL : arena_format(folder->scratch, "%s/%s", folder->path, partition);
    if (path == NULL)
        return error_memory(err, KEEPING);
    freshet_code code = make_folders(path, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < list->n; i++)
        code = folder_show(folder, list->files[i], err);
    if (code == FRESHET_OK && alone)
        code = remove_files(folder, path, list, err);
    return code == FRESHET_OK ? sync_partition(folder, partition, err) : code;
}

static freshet_code show_files(history_folder *folder, const char *const *files, uint32_t n,
                               bool alone, freshet_error *err)
{
    file_list list;
    if (!sorted(folder, files, n, &list))
        return error_memory(err, KEEPING);
    freshet_code code = FRESHET_OK;
    for (uint32_t first = 0, end; code == FRESHET_OK && first < n; first = end) {
        for (end = first + 1;
             end < n && history_same_partition(list.files[first], list.files[end]);)
            end++;
        const file_list part = {.files = list.files + first, .n = end - first};
        code = show_partition(folder, &part, alone, err);
    }
    return code;
}

freshet_code history_folder_publish(history_folder *folder, const char *const *files, uint32_t n,
                                    freshet_error *err)
{
    arena_reset(folder->scratch);
    return show_files(folder, files, n, false, err);
}

/* ---- the note -------------------------------------------------------------------------------- */

freshet_code history_folder_note(const history_folder *folder, const history_note *note,
                                 freshet_error *err)
{
    char text[NOTE_BYTES];
    int fd = os.open(folder->note, O_WRONLY | O_CREAT, 0666);
    if (fd < 0)
        return error_system(err, "cannot write", folder->note);
    /* Always as long, so that nothing of an older one is left. */
    int length = snprintf(text, sizeof text, "%020" PRIu64 " %020" PRIu64 " %020" PRId64 "\n",
                          note->checkpoint, note->rows, note->newest_us);
    freshet_code code = durable_write(fd, text, (size_t)length)
                            ? FRESHET_OK
                            : error_system(err, "cannot write", folder->note);
    os.close(fd);
    return code;
}

uint64_t history_folder_noted(const history_folder *folder, history_note *note)
{
    char text[NOTE_BYTES] = "", *end;
    history_note found = {.newest_us = INT64_MIN};
    int fd = os.open(folder->note, O_RDONLY, 0);
    if (fd >= 0) {
        ssize_t n = os.read(fd, text, sizeof text - 1);
        os.close(fd);
        text[n < 0 ? 0 : n] = '\0';
        found.checkpoint = strtoull(text, &end, 10);
        found.rows = strtoull(end, &end, 10);
        if (*end == ' ')
            found.newest_us = strtoll(end, NULL, 10);
    }
    if (note != NULL)
        *note = found;
    return found.checkpoint;
}

/* ---- looking --------------------------------------------------------------------------------- */

#define PART "part-"

/* A folder of partitions, `depth` levels below the history's own. Folders of days are many: only
 * the first is looked into. */
static freshet_code look_into(const char *path, unsigned depth, history_found *out, arena *arena,
                              freshet_error *err)
{
    static const char *const levels[] = {"year=", "month=", "day="};
    DIR *entries = opendir(path);
    if (entries == NULL)
        return error_system(err, "cannot read the folder", path);
    freshet_code code = FRESHET_OK;
    for (const struct dirent *entry; code == FRESHET_OK && (entry = readdir(entries)) != NULL;) {
        const char *name = entry->d_name;
        const bool is_file =
            depth > 0 && strncmp(name, PART, strlen(PART)) == 0 && ends_with(name, ".parquet");
        if (is_file) {
            if (out->is_empty)
                out->is_batch = strtoull(name + strlen(PART), NULL, 10) == 0;
            out->is_empty = false;
            out->levels[depth - 1] = true;
        }
        if (depth == 3 || strncmp(name, levels[depth], strlen(levels[depth])) != 0)
            continue;
        if (depth == 2)
            out->levels[depth] = true;
        if (depth == 2 && !out->is_empty)
            continue;
        const char *inside = arena_format(arena, "%s/%s", path, name);
        code = inside == NULL ? error_memory(err, KEEPING)
                              : look_into(inside, depth + 1, out, arena, err);
    }
    closedir(entries);
    return code;
}

freshet_code history_folder_look(history_folder *folder, history_found *out, freshet_error *err)
{
    *out = (history_found){.is_empty = true};
    arena_reset(folder->scratch);
    return look_into(folder->path, 0, out, folder->scratch, err);
}

/* "day=5" before "day=10"; others by their letters. */
static int compare_partition_names(const struct dirent **a, const struct dirent **b)
{
    const char *left = strchr((*a)->d_name, '='), *right = strchr((*b)->d_name, '=');
    const long from = left == NULL ? 0 : strtol(left + 1, NULL, 10);
    const long to = right == NULL ? 0 : strtol(right + 1, NULL, 10);
    return from != to ? (from < to ? -1 : 1) : strcmp((*a)->d_name, (*b)->d_name);
}

static bool is_passed_over(const char *file, const char *const *but, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (history_same_partition(file, but[i]))
            return true;
    return false;
}

/* Below a folder; as deep as partitions are. */
static freshet_code find_newest(const char *root, const char *below, unsigned depth,
                                const char *const *but, uint32_t n_but, arena *arena,
                                const char **out, freshet_error *err)
{
    static const char *const levels[] = {"year=", "month=", "day="};
    struct dirent **entries = NULL;
    const char *path = arena_format(arena, "%s/%s", root, below);
    int n = path == NULL ? -1 : scandir(path, &entries, NULL, compare_partition_names);
    freshet_code code = n >= 0         ? FRESHET_OK
                        : path == NULL ? error_memory(err, KEEPING)
                                       : error_system(err, "cannot read the folder", path);
    for (int i = n - 1; i >= 0; i--) {
        const char *name = entries[i]->d_name;
        const bool is_file =
            depth > 0 && strncmp(name, PART, strlen(PART)) == 0 && ends_with(name, ".parquet");
        const bool is_level = depth < 3 && strncmp(name, levels[depth], strlen(levels[depth])) == 0;
        const char *inside = code == FRESHET_OK && *out == NULL && (is_file || is_level)
                                 ? arena_format(arena, "%s%s%s", below, depth == 0 ? "" : "/", name)
                                 : NULL;
        if (inside != NULL && is_level)
            code = find_newest(root, inside, depth + 1, but, n_but, arena, out, err);
        else if (inside != NULL && !is_passed_over(inside, but, n_but))
            *out = inside;
        free(entries[i]);
    }
    free(entries);
    return code;
}

freshet_code history_folder_newest(const char *path, const char *const *but, uint32_t n,
                                   arena *arena, const char **out, freshet_error *err)
{
    *out = NULL;
    return find_newest(path, "", 0, but, n, arena, out, err);
}

/* ---- replacing ------------------------------------------------------------------------------- */

/* Makes the list durable under its name: all of it, or none. */
static freshet_code put_list(const history_folder *folder, const text_buffer *text,
                             freshet_error *err)
{
    const char *made = folder->replace_new;
    int fd = os.open(made, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return error_system(err, "cannot write", made);
    freshet_code code = FRESHET_OK;
    if (!durable_write(fd, text->bytes, text->length))
        code = error_system(err, "cannot write", made);
    else if (os.fsync(fd) != 0)
        code = error_system(err, "cannot make durable", made);
    os.close(fd);
    if (code == FRESHET_OK && os.rename(made, folder->replace) != 0)
        code = error_system(err, "cannot write", folder->replace);
    if (code != FRESHET_OK) {
        os.unlink(made);
        return code;
    }
    return sync_path(folder->own, err);
}

static freshet_code remove_list(const history_folder *folder, freshet_error *err)
{
    freshet_code code = remove_file(folder->replace, err);
    return code == FRESHET_OK ? sync_path(folder->own, err) : code;
}

/* Does one of the files, sorted and of one depth, lie in the folder that ends with '/'? */
static bool has_files(const file_list *list, const char *partition)
{
    uint32_t low = 0, high = list->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (strcmp(list->files[middle], partition) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->n && history_same_partition(partition, list->files[low]);
}

/* Removes what lies in the folders of partitions that have none of the files, and these folders
 * where they are empty then. `below` is "" or ends with '/'. */
static freshet_code remove_others(history_folder *folder, const char *below, unsigned depth,
                                  const file_list *list, freshet_error *err)
{
    static const char *const levels[] = {"year=", "month=", "day="};
    const file_list none = {0};
    const char *path = arena_format(folder->scratch, "%s/%s", folder->path, below);
    if (path == NULL)
        return error_memory(err, KEEPING);
    DIR *entries = opendir(path);
    if (entries == NULL)
        return error_system(err, "cannot read the folder", path);
    freshet_code code = FRESHET_OK;
    for (const struct dirent *entry;
         code == FRESHET_OK && depth < 3 && (entry = readdir(entries)) != NULL;) {
        struct stat found;
        const char *name = entry->d_name;
        if (strncmp(name, levels[depth], strlen(levels[depth])) != 0)
            continue;
        const char *inside = arena_format(folder->scratch, "%s%s/", below, name);
        const char *its_path =
            inside == NULL ? NULL : arena_format(folder->scratch, "%s/%s", folder->path, inside);
        if (its_path == NULL)
            code = error_memory(err, KEEPING);
        else if (os.stat(its_path, &found) == 0 && S_ISDIR(found.st_mode))
            code = remove_others(folder, inside, depth + 1, list, err);
    }
    closedir(entries);
    if (code == FRESHET_OK && depth > 0 && !has_files(list, below))
        code = remove_files(folder, path, &none, err);
    if (code == FRESHET_OK && depth > 0 && rmdir(path) == 0)
        return FRESHET_OK;
    return code == FRESHET_OK ? sync_path(path, err) : code;
}

/* What the list says, from wherever it was left. */
static freshet_code do_replace(history_folder *folder, const char *const *files, uint32_t n,
                               bool all, freshet_error *err)
{
    file_list list;
    freshet_code code = show_files(folder, files, n, true, err);
    if (code == FRESHET_OK && all)
        code = sorted(folder, files, n, &list) ? remove_others(folder, "", 0, &list, err)
                                               : error_memory(err, KEEPING);
    return code == FRESHET_OK ? remove_list(folder, err) : code;
}

freshet_code history_folder_replace(history_folder *folder, const char *const *files, uint32_t n,
                                    bool all, freshet_error *err)
{
    text_buffer text;
    arena_reset(folder->scratch);
    text_init(&text, REPLACE_BYTES_MAX);
    text_append_c(&text, all ? REPLACE_ALL_HEAD : REPLACE_HEAD);
    for (uint32_t i = 0; i < n; i++)
        text_format(&text, "%s\n", files[i]);
    freshet_code code = text_append_c(&text, REPLACE_END) ? put_list(folder, &text, err)
                                                          : error_memory(err, KEEPING);
    text_release(&text);
    return code == FRESHET_OK ? do_replace(folder, files, n, all, err) : code;
}

static freshet_code read_list(int fd, const char *path, text_buffer *into, freshet_error *err)
{
    char piece[16384];
    for (;;) {
        ssize_t n = os.read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_system(err, "cannot read", path);
        if (n == 0)
            return FRESHET_OK;
        if (!text_append(into, piece, (size_t)n))
            return error_memory(err, KEEPING);
    }
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Takes the list apart: its files, in scratch, and whether they replace all. */
static freshet_code parse_list(history_folder *folder, const char *path, const text_buffer *text,
                               file_list *out, bool *all, freshet_error *err)
{
    char *lines = arena_copy(folder->scratch, text->bytes, text->length);
    uint32_t n = 0;
    for (size_t i = 0; i < text->length; i++)
        n += text->bytes[i] == '\n';
    out->files = arena_alloc(folder->scratch, (n + 1) * sizeof *out->files);
    out->n = 0;
    if (lines == NULL || out->files == NULL)
        return error_memory(err, KEEPING);
    *all = begins_with(lines, REPLACE_ALL_HEAD);
    bool whole =
        n >= 2 && (*all || begins_with(lines, REPLACE_HEAD)) && ends_with(lines, "\n" REPLACE_END);
    char *line = whole ? strchr(lines, '\n') + 1 : lines;
    for (char *end; whole && strcmp(line, REPLACE_END) != 0; line = end + 1) {
        end = strchr(line, '\n');
        *end = '\0';
        whole = ends_with(line, ".parquet") && line[0] != '/' && strstr(line, "..") == NULL;
        out->files[out->n++] = line;
    }
    if (whole && (out->n > 0 || !*all))
        return FRESHET_OK;
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                     "the file %s, a list of files that a run before was about to show, is "
                     "damaged: remove it, and "
                     "run that batch again",
                     path);
}

/* A run before was killed while it replaced partitions: what it had begun is finished. */
static freshet_code finish_replacing(history_folder *folder, freshet_error *err)
{
    const char *path = folder->replace;
    int fd = os.open(path, O_RDONLY, 0);
    if (fd < 0)
        return errno == ENOENT ? FRESHET_OK : error_system(err, "cannot open", path);
    text_buffer text;
    file_list list;
    bool all = false;
    text_init(&text, REPLACE_BYTES_MAX);
    freshet_code code = read_list(fd, path, &text, err);
    os.close(fd);
    if (code == FRESHET_OK)
        code = parse_list(folder, path, &text, &list, &all, err);
    text_release(&text);
    return code == FRESHET_OK ? do_replace(folder, list.files, list.n, all, err) : code;
}
