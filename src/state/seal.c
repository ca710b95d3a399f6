/* seal.c - see seal.h.
 *
 * The hash of a file goes on where it stopped: whole words of eight bytes are folded into a running
 * value, and the last, incomplete word and the length only when it is written down.
 */
#include "state/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/os.h"

#define SEAL_FIRST_LINE "freshet seal 1\n"
#define SEAL_NAME_MAX 32u
#define PIECE_BYTES 65536u

typedef struct sealed_file {
    char name[SEAL_NAME_MAX];
    int64_t length; /* hashed so far */
    uint64_t words; /* running hash of the whole words */
    unsigned char rest[8];
    bool there;
} sealed_file;

struct seal {
    char *path;
    char *folder;
    int file;
    uint64_t commits;
    sealed_file files[SEAL_FILES_MAX];
    uint32_t n;
};

freshet_code seal_open(const char *path, const char *folder, seal **out, freshet_error *err)
{
    seal *seal = calloc(1, sizeof *seal);
    if (seal == NULL)
        return error_memory(err, "opening the state");
    seal->file = -1;
    seal->path = strdup(path);
    seal->folder = strdup(folder);
    if (seal->path == NULL || seal->folder == NULL) {
        seal_close(seal);
        return error_memory(err, "opening the state");
    }
    *out = seal;
    return FRESHET_OK;
}

void seal_close(seal *seal)
{
    if (seal == NULL)
        return;
    if (seal->file >= 0)
        os.close(seal->file);
    free(seal->path);
    free(seal->folder);
    free(seal);
}

uint64_t seal_commits(const seal *seal)
{
    return seal->commits;
}

/* ---- hashing ------------------------------------------------------------------------------- */

static void hash_more(sealed_file *file, const unsigned char *bytes, size_t n)
{
    size_t held = (size_t)(file->length % 8);
    file->length += (int64_t)n;
    while (n > 0) {
        size_t take = 8 - held < n ? 8 - held : n;
        memcpy(file->rest + held, bytes, take);
        held += take;
        bytes += take;
        n -= take;
        if (held < 8)
            break;
        uint64_t word;
        memcpy(&word, file->rest, 8);
        file->words = hash_fold(file->words ^ word ^ HASH_B, HASH_A);
        held = 0;
    }
}

static uint64_t hash_value(const sealed_file *file)
{
    uint64_t end[2] = {0, (uint64_t)file->length};
    memcpy(end, file->rest, (size_t)(file->length % 8));
    return hash_bytes(end, sizeof end, file->words);
}

/* Hashes on up to `length`. False where the file cannot be read so far (errno, 0 at its end). */
static bool hash_to(const char *folder, sealed_file *file, int64_t length)
{
    char path[4096];
    unsigned char piece[PIECE_BYTES];
    snprintf(path, sizeof path, "%s/%s", folder, file->name);
    int fd = os.open(path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    errno = 0;
    while (file->length < length) {
        int64_t left = length - file->length;
        ssize_t n = os.pread(fd, piece, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES,
                             (off_t)file->length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        hash_more(file, piece, (size_t)n);
    }
    int problem = errno;
    os.close(fd);
    errno = problem;
    return file->length == length;
}

/* ---- reading ------------------------------------------------------------------------------- */

typedef struct claim {
    char name[SEAL_NAME_MAX];
    int64_t length;
    uint64_t hash;
} claim;

/* A number at *at, which must end in `ends`; *at is then behind that. */
static bool seal_take_number(const char **at, int base, char ends, uint64_t *number)
{
    char *end = NULL;
    errno = 0;
    *number = strtoull(*at, &end, base);
    bool good = end != *at && errno == 0 && *end == ends;
    *at = good ? end + 1 : *at;
    return good;
}

static bool take_word(const char **at, const char *word)
{
    size_t length = strlen(word);
    bool good = strncmp(*at, word, length) == 0;
    *at += good ? length : 0;
    return good;
}

static bool take_claim(const char **at, claim *claim)
{
    size_t length = strcspn(*at, " \n");
    uint64_t bytes = 0;
    if (length == 0 || length >= SEAL_NAME_MAX)
        return false;
    memcpy(claim->name, *at, length);
    claim->name[length] = '\0';
    *at += length;
    if (!take_word(at, " ") || !seal_take_number(at, 10, ' ', &bytes) || bytes > INT64_MAX)
        return false;
    claim->length = (int64_t)bytes;
    return seal_take_number(at, 16, '\n', &claim->hash);
}

/* Takes the seal's text apart; false where it is not one. */
static bool parse(const char *text, uint64_t *commits, claim *claims, uint32_t *n)
{
    uint64_t sum = 0;
    const char *at = text;
    if (!take_word(&at, SEAL_FIRST_LINE) || !take_word(&at, "commits ") ||
        !seal_take_number(&at, 10, '\n', commits))
        return false;
    for (*n = 0; strncmp(at, "sum ", 4) != 0 && *n < SEAL_FILES_MAX; ++*n)
        if (!take_claim(&at, &claims[*n]))
            return false;
    size_t summed = (size_t)(at - text);
    return take_word(&at, "sum ") && seal_take_number(&at, 16, '\n', &sum) &&
           sum == hash_bytes(text, summed, 0);
}

/* Reads up to a page; what is not there is 0. */
static bool read_page(int fd, uint32_t page, char text[SEAL_BYTES + 1])
{
    ssize_t n = durable_read(fd, text, SEAL_BYTES, (off_t)page * SEAL_BYTES);
    text[n < 0 ? 0 : n] = '\0';
    return n > 0;
}

typedef struct seal_text {
    uint64_t commits;
    claim claims[SEAL_FILES_MAX];
    uint32_t n;
} seal_text;

/* The newest readable page; false where there is none. *there: there is a file. */
static bool read_seal(const char *path, seal_text *newest, bool *there)
{
    char text[SEAL_BYTES + 1];
    seal_text page;
    bool found = false;
    int fd = os.open(path, O_RDONLY, 0);
    *there = fd >= 0 || errno != ENOENT;
    for (uint32_t i = 0; fd >= 0 && i < SEAL_PAGES; i++) {
        if (!read_page(fd, i, text) || !parse(text, &page.commits, page.claims, &page.n) ||
            (found && page.commits < newest->commits))
            continue;
        *newest = page;
        found = true;
    }
    if (fd >= 0)
        os.close(fd);
    return found;
}

/* Whether it is the seal of a state that had commits, or the beginning of one: what a crash leaves
 * of a seal that was being made has none. */
static bool had_commits(const char *path)
{
    char text[SEAL_BYTES + 1];
    bool found = false;
    int fd = os.open(path, O_RDONLY, 0);
    for (uint32_t i = 0; fd >= 0 && i < SEAL_PAGES; i++) {
        const char *at = text;
        uint64_t commits = 0;
        found |= read_page(fd, i, text) && take_word(&at, SEAL_FIRST_LINE) &&
                 take_word(&at, "commits ") && seal_take_number(&at, 10, '\n', &commits) &&
                 commits > 0;
    }
    if (fd >= 0)
        os.close(fd);
    return found;
}

static freshet_code check_claim(const seal *seal, const claim *claim, freshet_error *err)
{
    char path[4096];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", seal->folder, claim->name);
    if (os.stat(path, &info) != 0)
        return FRESHET_OK; /* no longer needed; what is, RocksDB asks for */
    sealed_file file = {0};
    snprintf(file.name, sizeof file.name, "%.*s", (int)sizeof file.name - 1, claim->name);
    if (info.st_size < claim->length)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                         "the state is damaged: its file db/%s has %lld bytes, and had at least "
                         "%lld at the last checkpoint; put back a copy of the folder, or begin "
                         "anew after `freshet state reset`",
                         claim->name, (long long)info.st_size, (long long)claim->length);
    if (!hash_to(seal->folder, &file, claim->length))
        return errno == ENOENT ? FRESHET_OK : error_system(err, "cannot read", path);
    if (hash_value(&file) != claim->hash)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                         "the state is damaged: its file db/%s is not what it was at the last "
                         "checkpoint; put back a copy of the folder, or begin anew after "
                         "`freshet state reset`",
                         claim->name);
    return FRESHET_OK;
}

freshet_code seal_check(seal *seal, freshet_error *err)
{
    seal_text text;
    bool there = false;
    if (!read_seal(seal->path, &text, &there))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, seal->path,
                         "the state is damaged: its file %s %s; put back a copy of the whole "
                         "folder, or begin anew after `freshet state reset`",
                         seal->path, there ? "cannot be read" : "is missing");
    seal->commits = text.commits;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < text.n && code == FRESHET_OK; i++)
        code = check_claim(seal, &text.claims[i], err);
    return code;
}

/* ---- writing ------------------------------------------------------------------------------- */

static bool is_log(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && strcmp(dot, ".log") == 0;
}

static bool is_sealed(const char *name)
{
    return strlen(name) < SEAL_NAME_MAX && (is_log(name) || strncmp(name, "MANIFEST-", 9) == 0);
}

static sealed_file *seal_find(seal *seal, const char *name)
{
    for (uint32_t i = 0; i < seal->n; i++)
        if (strcmp(seal->files[i].name, name) == 0)
            return &seal->files[i];
    if (seal->n == SEAL_FILES_MAX)
        return NULL;
    sealed_file *file = &seal->files[seal->n++];
    *file = (sealed_file){0};
    memcpy(file->name, name, strlen(name) + 1); /* is_sealed() has looked at its length */
    return file;
}

/* Hashes what is new in a file; one that goes away meanwhile is not sealed. */
static void seal_look_at(seal *seal, const char *name)
{
    char path[4096];
    struct stat info;
    sealed_file *file = seal_find(seal, name);
    snprintf(path, sizeof path, "%s/%s", seal->folder, name);
    if (file == NULL || os.stat(path, &info) != 0)
        return;
    bool grew = info.st_size > file->length;
    file->there =
        hash_to(seal->folder, file, info.st_size) && (!grew || is_log(name) || durable_path(path));
}

static freshet_code look_at_all(seal *seal, freshet_error *err)
{
    DIR *folder = opendir(seal->folder);
    if (folder == NULL)
        return error_system(err, "cannot read", seal->folder);
    for (uint32_t i = 0; i < seal->n; i++)
        seal->files[i].there = false;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (is_sealed(entry->d_name))
            seal_look_at(seal, entry->d_name);
    closedir(folder);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < seal->n; i++)
        if (seal->files[i].there)
            seal->files[kept++] = seal->files[i];
    seal->n = kept;
    return FRESHET_OK;
}

static size_t put_down(const seal *seal, uint64_t commits, char text[SEAL_BYTES])
{
    size_t at =
        (size_t)snprintf(text, SEAL_BYTES, SEAL_FIRST_LINE "commits %" PRIu64 "\n", commits);
    for (uint32_t i = 0; i < seal->n; i++) {
        const sealed_file *file = &seal->files[i];
        at += (size_t)snprintf(text + at, SEAL_BYTES - at, "%s %" PRId64 " %016" PRIx64 "\n",
                               file->name, file->length, hash_value(file));
    }
    uint64_t sum = hash_bytes(text, at, 0);
    at += (size_t)snprintf(text + at, SEAL_BYTES - at, "sum %016" PRIx64 "\n", sum);
    return at;
}

_Static_assert(SEAL_FILES_MAX *(SEAL_NAME_MAX + 20 + 19) + 100 < SEAL_BYTES, "a seal is one page");

/* Covers the whole page: what was longer before is gone. */
static freshet_code write_page(seal *seal, uint64_t commits, freshet_error *err)
{
    char text[SEAL_BYTES] = {0};
    if (seal->file < 0)
        seal->file = os.open(seal->path, O_RDWR | O_CREAT, 0600);
    if (seal->file < 0)
        return error_system(err, "cannot open", seal->path);
    put_down(seal, commits, text);
    ssize_t n;
    do
        n = pwrite(seal->file, text, sizeof text, (off_t)(commits % SEAL_PAGES * SEAL_BYTES));
    while (n < 0 && errno == EINTR);
    if (n >= 0 && n < (ssize_t)sizeof text)
        errno = ENOSPC;
    return n == (ssize_t)sizeof text ? FRESHET_OK : error_system(err, "cannot write", seal->path);
}

freshet_code seal_make(seal *seal, freshet_error *err)
{
    if (had_commits(seal->path))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, seal->folder,
                         "the state is damaged: its folder %s is missing; put back a copy of the "
                         "whole folder, or begin anew after `freshet state reset`",
                         seal->folder);
    os.unlink(seal->path);
    freshet_code code = write_page(seal, 0, err);
    if (code == FRESHET_OK && (os.fsync(seal->file) != 0 || !durable_entry(seal->path)))
        code = error_system(err, "cannot make durable", seal->path);
    return code;
}

freshet_code seal_write(seal *seal, uint64_t commits, freshet_error *err)
{
    freshet_code code = look_at_all(seal, err);
    return code == FRESHET_OK ? write_page(seal, commits, err) : code;
}
