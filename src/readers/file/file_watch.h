/* file_watch.h - news of folders, by inotify.
 *
 * file_list() says which folders matter, each time it lists: between file_watch_begin and
 * file_watch_end each folder is named by file_watch_folder; those no longer named are let go. Then
 * file_watch_next tells what has happened since: one file came or was written to, or something that
 * makes a new listing necessary.
 *
 * Where inotify is not to be had, or not for every folder (a limit of the system, a folder that is
 * not there), file_watch_is_complete is false, and the reader has to list again from time to time.
 *
 * All functions take NULL, for no watch at all.
 */
#ifndef FRESHET_READERS_FILE_FILE_WATCH_H
#define FRESHET_READERS_FILE_FILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>

typedef struct file_watch file_watch;

typedef enum watch_news {
    WATCH_NOTHING, /* no more news now */
    WATCH_FILE,    /* the file at `path` came, or was written to */
    WATCH_LIST     /* list again: folders changed, files went, or news was lost */
} watch_news;

/* NULL where inotify is not to be had (or memory is out). */
file_watch *file_watch_open(void);
void file_watch_close(file_watch *watch);

void file_watch_begin(file_watch *watch);
/* The folder at `path`. `name`: files directly in the folder whose name matches it
 * (file_list_matches) belong to the list, if `files`; otherwise only folders in it matter. */
void file_watch_folder(file_watch *watch, const char *path, const char *name, bool files);
void file_watch_end(file_watch *watch);

/* What news there is; never waits. `path` holds the path of a WATCH_FILE until the next call. */
watch_news file_watch_next(file_watch *watch, const char **path);

/* True where file_watch_next would have news that poll(2) on the descriptor does not show any
 * more. */
bool file_watch_has_kept(const file_watch *watch);

/* Readable when there is news; -1 without inotify. */
int file_watch_fd(const file_watch *watch);

bool file_watch_is_complete(const file_watch *watch);

#endif
