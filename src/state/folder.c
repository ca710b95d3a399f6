/* folder.c - see folder.h. */
#define _GNU_SOURCE /* flock */
#include "state/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"

freshet_code folder_paths_make(const char *folder, folder_paths *out, freshet_error *err)
{
    arena *arena = arena_open();
    if (arena == NULL)
        return error_memory(err, "opening the state");
    *out = (folder_paths){.arena = arena,
                          .folder = arena_text(arena, folder),
                          .lock = arena_format(arena, "%s/lock", folder),
                          .seal = arena_format(arena, "%s/seal", folder),
                          .database = arena_format(arena, "%s/db", folder),
                          .making = arena_format(arena, "%s/db.new", folder),
                          .table = arena_format(arena, "%s/db.sst", folder),
                          .spool = arena_format(arena, "%s/" FOLDER_SPOOL, folder)};
    if (out->folder != NULL && out->lock != NULL && out->seal != NULL && out->database != NULL &&
        out->making != NULL && out->table != NULL && out->spool != NULL)
        return FRESHET_OK;
    folder_paths_release(out);
    return error_memory(err, "opening the state");
}

void folder_paths_release(folder_paths *paths)
{
    arena_close(paths->arena);
    *paths = (folder_paths){0};
}

static bool is_ours(const char *name)
{
    static const char *const ours[] = {".",  "..",     "lock",   "seal",
                                       "db", "db.new", "db.sst", FOLDER_SPOOL};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(name, ours[i]) == 0)
            return true;
    return false;
}

/* Looks for what is not ours. */
static freshet_code check_content(const char *path, freshet_error *err)
{
    DIR *stream = opendir(path);
    if (stream == NULL)
        return error_system(err, "cannot open the state folder", path);
    freshet_code code = FRESHET_OK;
    for (struct dirent *entry; code == FRESHET_OK && (entry = readdir(stream)) != NULL;)
        if (!is_ours(entry->d_name))
            code = error_set(err, FRESHET_USAGE, FRESHET_STOP, path,
                             "the folder \"%s\" is no state folder: it holds \"%s\"; name one that "
                             "is not there yet, or empty",
                             path, entry->d_name);
    closedir(stream);
    return code;
}

freshet_code folder_make(const folder_paths *paths, bool *is_new, freshet_error *err)
{
    *is_new = mkdir(paths->folder, 0700) == 0;
    if (!*is_new && errno != EEXIST)
        return error_system(err, "cannot make the state folder", paths->folder);
    return check_content(paths->folder, err);
}

/* The process that has the lock, as it wrote down itself; 0 where it has not yet. */
static long holder(int lock)
{
    char text[24] = {0};
    ssize_t n = os.pread(lock, text, sizeof text - 1, 0);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

freshet_code folder_lock(const folder_paths *paths, int *lock, freshet_error *err)
{
    int file = os.open(paths->lock, O_RDWR | O_CREAT, 0600);
    if (file < 0)
        return error_system(err, "cannot open", paths->lock);
    int locked;
    do
        locked = flock(file, LOCK_EX | LOCK_NB);
    while (locked != 0 && errno == EINTR);
    if (locked != 0 && errno == EWOULDBLOCK) {
        long process = holder(file);
        os.close(file);
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_STOP, paths->folder,
                         "the state folder \"%s\" is in use by process %ld; stop that run first, "
                         "or name another folder by --state",
                         paths->folder, process);
    }
    char text[24];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (locked != 0 || os.ftruncate(file, 0) != 0 ||
        os.write(file, text, (size_t)length) != length) {
        freshet_code code = error_system(err, "cannot lock", paths->lock);
        os.close(file);
        return code;
    }
    *lock = file;
    return FRESHET_OK;
}

bool folder_has_database(const folder_paths *paths)
{
    struct stat info;
    return os.stat(paths->database, &info) == 0;
}

bool folder_is_begun(const folder_paths *paths)
{
    struct stat info;
    return !folder_has_database(paths) && os.stat(paths->lock, &info) == 0;
}

freshet_code folder_remove_files(const char *path, freshet_error *err)
{
    DIR *stream = opendir(path);
    if (stream == NULL)
        return errno == ENOENT ? FRESHET_OK : error_system(err, "cannot open", path);
    freshet_code code = FRESHET_OK;
    for (struct dirent *entry; code == FRESHET_OK && (entry = readdir(stream)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (os.unlink(file) != 0)
            code = error_system(err, "cannot remove", file);
    }
    closedir(stream);
    if (code == FRESHET_OK && rmdir(path) != 0)
        code = error_system(err, "cannot remove", path);
    return code;
}

freshet_code folder_remove(const folder_paths *paths, freshet_error *err)
{
    freshet_code code = check_content(paths->folder, err);
    /* The seal goes first, then the database by a rename: half removed it is refused, or begun
     * anew. */
    if (code == FRESHET_OK && os.unlink(paths->seal) != 0 && errno != ENOENT)
        code = error_system(err, "cannot remove", paths->seal);
    if (code == FRESHET_OK)
        code = folder_remove_files(paths->making, err);
    if (code == FRESHET_OK && folder_has_database(paths) &&
        os.rename(paths->database, paths->making) != 0)
        code = error_system(err, "cannot rename", paths->database);
    if (code == FRESHET_OK)
        code = folder_remove_files(paths->making, err);
    if (code != FRESHET_OK)
        return code;
    code = folder_remove_files(paths->spool, err);
    if (code != FRESHET_OK)
        return code;
    if ((os.unlink(paths->table) != 0 && errno != ENOENT) || os.unlink(paths->lock) != 0 ||
        rmdir(paths->folder) != 0)
        return error_system(err, "cannot remove", paths->folder);
    return FRESHET_OK;
}
