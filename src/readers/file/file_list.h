/* file_list.h - which files a path names: a file, a folder, or a pattern.
 *
 *   a file      itself
 *   a folder    the files directly in it
 *   a pattern   *, ? and [...] within a name; ** as a whole name stands for any number of folders,
 *               none included, up to LIST_DEPTH_MAX. Where it matches a folder: the files
 *               directly in it
 *
 * Names that begin with . or _ are passed over, as Spark does, in folders and by wildcards (unless
 * the pattern's name begins so itself). What is no regular file is passed over, and counted.
 * Symbolic links are followed, but not by **. The files come in the order in which they are to be
 * read: by modification time, then by path; or by path alone. Paths are compared name by name, and
 * numbers in names by their value: day2 before day10.
 *
 * With a watch (file_watch.h), every folder looked into is watched for the names that would belong
 * to the list.
 */
#ifndef FRESHET_READERS_FILE_FILE_LIST_H
#define FRESHET_READERS_FILE_FILE_LIST_H

#include <freshet/freshet.h>

#include <sys/types.h>

#include "base/arena.h"

#define LIST_DEPTH_MAX 64
#define LIST_FILES_MAX (1u << 20)

struct file_watch;

typedef enum list_order { LIST_BY_TIME, LIST_BY_NAME } list_order;

typedef struct listed_file {
    const char *path;
    dev_t device;
    ino_t inode;
    int64_t size;
    int64_t modified_ns;
} listed_file;

typedef struct file_listing {
    listed_file *items;
    uint32_t n;
    bool missing;           /* a folder or file that the path names outright is not there */
    const char *unreadable; /* the first folder or file that may not be looked at, or NULL; */
    int problem;            /* and why not (errno) */
    uint32_t n_folders;     /* that were passed over, since the path does not go into them */
    uint32_t n_odd;         /* pipes, devices, links that lead nowhere: passed over, too */
    const char *odd;        /* the first of these */
} file_listing;

/* True where the path is a pattern. */
bool file_list_is_pattern(const char *path);

/* Lists what `path` names, in `arena`. Something that is not there, or may not be read,
 * is no error, but said in the listing. `watch` may be NULL. */
freshet_code file_list(arena *arena, const char *path, list_order order, struct file_watch *watch,
                       file_listing *out, freshet_error *err);

/* Looks at one path: false where it is no regular file now. */
bool file_list_look(const char *path, listed_file *out);

/* Sorts into reading order. */
void file_list_sort(listed_file *items, uint32_t n, list_order order);

/* Less than, equal to or greater than 0, as strcmp, in the order of paths said above; 0 only for
 * equal paths. */
int file_list_compare(const char *a, const char *b);

/* Does the name match one name of a pattern (NULL: any)? Hidden names only as said above. */
bool file_list_matches(const char *pattern, const char *name);

/* Where in `listed`, which `path` has named, that begins which is below the folder that `path`
 * names without a pattern: "b/c.json" in "/a/b/c.json" for "/a", and for "/a/?/c.json". Of a file
 * that is named itself, its name. */
size_t file_list_way(const char *path, const char *listed);

/* A number that differs when the listing does (paths, identities, sizes, times). */
uint64_t file_list_signature(const file_listing *listing);

#endif
