/* file_list.c - see file_list.h. The path is cut into names; walk() goes down one name at a
 * time. */
#include "readers/file/file_list.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/os.h"
#include "readers/file/file_watch.h"

#define NAMES_MAX 256 /* names in one path */

typedef struct walker {
    arena *arena;
    const char *names[NAMES_MAX];
    uint32_t n_names;
    file_watch *watch;
    file_listing *out;
    uint32_t capacity;
    freshet_error *err;
} walker;

bool file_list_is_pattern(const char *path)
{
    return strpbrk(path, "*?[") != NULL;
}

bool file_list_matches(const char *pattern, const char *name)
{
    if (pattern == NULL)
        return name[0] != '.' && name[0] != '_';
    if (!file_list_is_pattern(pattern))
        return strcmp(pattern, name) == 0;
    if ((name[0] == '.' || name[0] == '_') && pattern[0] != name[0])
        return false;
    return fnmatch(pattern, name, 0) == 0;
}

static listed_file listed_as(const char *path, const struct stat *info)
{
    return (listed_file){.path = path,
                         .device = info->st_dev,
                         .inode = info->st_ino,
                         .size = info->st_size,
                         .modified_ns =
                             (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec};
}

bool file_list_look(const char *path, listed_file *out)
{
    struct stat info;

    if (os.stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    *out = listed_as(path, &info);
    return true;
}

static freshet_code add_file(walker *walker, const char *path, const struct stat *info)
{
    file_listing *out = walker->out;

    if (out->n == LIST_FILES_MAX)
        return error_set(walker->err, FRESHET_LIMIT, FRESHET_STOP, path,
                         "there are more than %u files; name fewer by a pattern, or keep finished "
                         "ones elsewhere",
                         LIST_FILES_MAX);
    if (!arena_reserve(walker->arena, &out->items, &walker->capacity, out->n + UINT64_C(1),
                       sizeof(*out->items)))
        return error_memory(walker->err, "listing files");
    out->items[out->n++] = listed_as(path, info);
    return FRESHET_OK;
}

static const char *join(const walker *walker, const char *folder, const char *name)
{
    size_t n = strlen(folder);

    if (n == 0)
        return arena_text(walker->arena, name);
    return arena_format(walker->arena, "%s%s%s", folder, folder[n - 1] == '/' ? "" : "/", name);
}

/* What is done with an entry of a folder that matches: it is taken where it is a file; taken,
 * whatever it is; the way goes on in it, with the next name; or below it, with the same one
 * (**). */
typedef enum entry_use { TAKE_FILE, TAKE_ANY, GO_ON, GO_BELOW } entry_use;

static freshet_code use_entry(walker *walker, const char *path, const struct dirent *entry,
                              uint32_t at, uint32_t depth, entry_use use);

/* It may not be looked at, as errno says. */
static void note_unreadable(walker *walker, const char *path)
{
    if (walker->out->unreadable == NULL) {
        walker->out->problem = errno;
        walker->out->unreadable = path;
    }
}

/* The folder did not open, as errno says. */
static freshet_code no_entries(walker *walker, const char *folder)
{
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == EINTR)
        return error_system(walker->err, "cannot read the folder", folder);
    if (errno == ENOENT || errno == ENOTDIR)
        walker->out->missing = true;
    else
        note_unreadable(walker, folder);
    return FRESHET_OK;
}

static void note_odd(walker *walker, const char *path)
{
    if (walker->out->n_odd++ == 0)
        walker->out->odd = path;
}

/* Does that with each entry of the folder that matches. */
static freshet_code each_entry(walker *walker, const char *folder, const char *pattern, uint32_t at,
                               uint32_t depth, entry_use use)
{
    int fd = os.open(folder[0] == '\0' ? "." : folder, O_RDONLY | O_DIRECTORY, 0);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    freshet_code code = FRESHET_OK;
    struct dirent *entry;

    if (stream == NULL) {
        int problem = errno;
        if (fd >= 0)
            os.close(fd);
        errno = problem;
        return no_entries(walker, folder);
    }
    while (code == FRESHET_OK && (errno = 0, entry = readdir(stream)) != NULL) {
        const char *path;
        if (!file_list_matches(pattern, entry->d_name))
            continue;
        path = join(walker, folder, entry->d_name);
        code = path == NULL ? error_memory(walker->err, "listing files")
                            : use_entry(walker, path, entry, at, depth, use);
    }
    if (code == FRESHET_OK && errno != 0)
        code = error_system(walker->err, "cannot read the folder", folder);
    closedir(stream);
    return code;
}

/* The last name has led here: a file, or a folder of files. */
static freshet_code add_path(walker *walker, const char *path, bool outright)
{
    struct stat info;

    if (os.stat(path, &info) != 0) {
        if (errno != ENOENT && errno != ENOTDIR) {
            note_unreadable(walker, path);
            return FRESHET_OK;
        }
        walker->out->missing = walker->out->missing || outright;
        return FRESHET_OK;
    }
    if (S_ISREG(info.st_mode))
        return add_file(walker, path, &info);
    if (!S_ISDIR(info.st_mode)) {
        note_odd(walker, path);
        return FRESHET_OK;
    }
    file_watch_folder(walker->watch, path, NULL, true);
    return each_entry(walker, path, NULL, 0, 0, TAKE_FILE);
}

static freshet_code walk(walker *walker, const char *folder, uint32_t at, uint32_t depth);

static freshet_code use_entry(walker *walker, const char *path, const struct dirent *entry,
                              uint32_t at, uint32_t depth, entry_use use)
{
    struct stat info;

    if (use == TAKE_ANY && entry->d_type == DT_LNK && os.stat(path, &info) != 0 && errno == ENOENT)
        note_odd(walker, path);
    if (use == TAKE_ANY)
        return add_path(walker, path, false);
    if (use == GO_BELOW && entry->d_type == DT_LNK)
        return FRESHET_OK;
    if (use == GO_BELOW && entry->d_type == DT_DIR)
        return walk(walker, path, at, depth + 1);
    if (os.stat(path, &info) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            note_unreadable(walker, path);
        else if (entry->d_type == DT_LNK && use == TAKE_FILE)
            note_odd(walker, path);
        return FRESHET_OK; /* it leads nowhere, or is gone again */
    }
    if (use == TAKE_FILE && S_ISREG(info.st_mode))
        return add_file(walker, path, &info);
    if (use == TAKE_FILE && S_ISDIR(info.st_mode))
        walker->out->n_folders++;
    else if (use == TAKE_FILE)
        note_odd(walker, path);
    if (use == TAKE_FILE)
        return FRESHET_OK;
    return S_ISDIR(info.st_mode) ? walk(walker, path, at + (use == GO_ON), depth + 1) : FRESHET_OK;
}

static freshet_code walk(walker *walker, const char *folder, uint32_t at, uint32_t depth)
{
    const char *name = walker->names[at];
    bool last = at + 1 == walker->n_names;

    assert(name != NULL);
    if (depth > LIST_DEPTH_MAX)
        return FRESHET_OK;
    if (strcmp(name, "**") == 0) {
        freshet_code code;
        file_watch_folder(walker->watch, folder, NULL, false);
        code = walk(walker, folder, at + 1, depth);
        return code == FRESHET_OK ? each_entry(walker, folder, NULL, at, depth, GO_BELOW) : code;
    }
    if (last)
        file_watch_folder(walker->watch, folder, name, true);
    if (file_list_is_pattern(name)) {
        if (!last)
            file_watch_folder(walker->watch, folder, NULL, false);
        return each_entry(walker, folder, name, at, depth, last ? TAKE_ANY : GO_ON);
    }
    name = join(walker, folder, name);
    if (name == NULL)
        return error_memory(walker->err, "listing files");
    return last ? add_path(walker, name, true) : walk(walker, name, at + 1, depth);
}

/* Cuts the path into names. `**` at the end means all files below: an `*` is added. */
static freshet_code list_cut(walker *walker, const char *path)
{
    char *copy = arena_text(walker->arena, path);
    char *rest = NULL;

    if (copy == NULL)
        return error_memory(walker->err, "listing files");
    for (char *name = strtok_r(copy, "/", &rest); name != NULL; name = strtok_r(NULL, "/", &rest)) {
        bool again = walker->n_names > 0 && strcmp(name, "**") == 0 &&
                     strcmp(walker->names[walker->n_names - 1], "**") == 0;
        if (again)
            continue;
        if (walker->n_names + 1 == NAMES_MAX)
            return error_set(walker->err, FRESHET_BAD_DECLARATION, FRESHET_STOP, path,
                             "the path has more than %d names", NAMES_MAX - 1);
        walker->names[walker->n_names++] = name;
    }
    if (walker->n_names == 0)
        walker->names[walker->n_names++] = ".";
    if (strcmp(walker->names[walker->n_names - 1], "**") == 0)
        walker->names[walker->n_names++] = "*";
    return FRESHET_OK;
}

/* ---- order ----------------------------------------------------------------------------------- */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Compares the numbers that *a and *b begin with, of any length, and steps over them. */
static int number_order(const char **a, const char **b)
{
    size_t x;
    size_t y;
    int result;

    while (**a == '0')
        (*a)++;
    while (**b == '0')
        (*b)++;
    x = strspn(*a, "0123456789");
    y = strspn(*b, "0123456789");
    result = x != y ? (x < y ? -1 : 1) : memcmp(*a, *b, x);
    *a += x;
    *b += y;
    return result;
}

/* The end of a name comes before all else, so that a folder's files stay together. */
static int rank_of(char byte)
{
    return byte == '\0' ? 0 : byte == '/' ? 1 : 2 + (unsigned char)byte;
}

int file_list_compare(const char *a, const char *b)
{
    const char *x = a;
    const char *y = b;

    while (*x != '\0' || *y != '\0') {
        if (is_digit(*x) && is_digit(*y)) {
            int result = number_order(&x, &y);
            if (result != 0)
                return result;
        } else if (*x != *y) {
            return rank_of(*x) - rank_of(*y);
        } else {
            x++;
            y++;
        }
    }
    return strcmp(a, b); /* they differ by zeros before numbers, if at all */
}

/* Steps over slashes, and over the name behind them. */
static const char *behind_name(const char *at, const char **name)
{
    at += strspn(at, "/");
    *name = at;
    return at + strcspn(at, "/");
}

size_t file_list_way(const char *path, const char *listed)
{
    const char *at = listed;
    const char *name;

    for (const char *end = behind_name(path, &name); *name != '\0'; end = behind_name(end, &name)) {
        const char *in_listed;
        const char *next = behind_name(at, &in_listed);
        if (strcspn(name, "*?[") < (size_t)(end - name) || next[strspn(next, "/")] == '\0')
            break;
        at = next;
    }
    at += strspn(at, "/");
    return (size_t)(at - listed);
}

static int by_name(const void *a, const void *b)
{
    return file_list_compare(((const listed_file *)a)->path, ((const listed_file *)b)->path);
}

static int by_time(const void *a, const void *b)
{
    const listed_file *x = a;
    const listed_file *y = b;

    if (x->modified_ns != y->modified_ns)
        return x->modified_ns < y->modified_ns ? -1 : 1;
    return by_name(a, b);
}

void file_list_sort(listed_file *items, uint32_t n, list_order order)
{
    if (n > 0)
        qsort(items, n, sizeof(*items), order == LIST_BY_NAME ? by_name : by_time);
}

freshet_code file_list(arena *arena, const char *path, list_order order, file_watch *watch,
                       file_listing *out, freshet_error *err)
{
    walker walker = {.arena = arena, .watch = watch, .out = out, .err = err};
    freshet_code code;
    uint32_t kept = 0;

    *out = (file_listing){0};
    code = list_cut(&walker, path);
    if (code != FRESHET_OK)
        return code;
    file_watch_begin(watch);
    code = walk(&walker, path[0] == '/' ? "/" : "", 0, 0);
    file_watch_end(watch);
    if (code != FRESHET_OK)
        return code;
    file_list_sort(out->items, out->n, order);
    for (uint32_t i = 0; i < out->n; i++) /* patterns with several ** find files more than once */
        if (kept == 0 || strcmp(out->items[kept - 1].path, out->items[i].path) != 0)
            out->items[kept++] = out->items[i];
    out->n = kept;
    return FRESHET_OK;
}

uint64_t file_list_signature(const file_listing *listing)
{
    uint64_t sum = listing->n;

    for (uint32_t i = 0; i < listing->n; i++) {
        const listed_file *file = &listing->items[i];
        const uint64_t facts[] = {file->device, file->inode, (uint64_t)file->size,
                                  (uint64_t)file->modified_ns};
        sum = hash_bytes(file->path, strlen(file->path), sum);
        sum = hash_bytes(facts, sizeof(facts), sum);
    }
    return sum;
}
