/* history_folder.h - the folder of a history: files that lie aside, and how they come to be seen.
 *
 *   <folder>/year=2024/month=5/day=1/part-0000000000000007-0000.parquet seen by all
 *   <folder>/.freshet/lock                                              held by the run that writes
 *   <folder>/.freshet/<a file's path with ~ for />.aside                written, not seen yet
 *   <folder>/.freshet/replace                                           what a batch will show
 *   <folder>/.freshet/checkpoint                                        the last that showed files,
 *                                                                       and rows so far, and the
 *                                                                       greatest of their times
 *
 * A file is named by its path below the folder ("year=2024/.../part-....parquet"), aside as well as
 * seen. Aside it has another ending and lies in a folder that begins with a dot, so that no
 * `**.parquet` finds it, nor Spark, nor pandas. It comes to be seen by a rename, which is all or
 * nothing.
 *
 * A stream adds files (history_folder_publish): the checkpoint that lists them is what makes that
 * certain. A batch replaces partitions (history_folder_replace): the list of its files, `replace`,
 * is made durable first; from then on the replacement will happen, if need be at the next open.
 * Each file takes the place of the old one with the same name in one rename, and the others of its
 * partition are removed behind it; so a partition that was and is one file changes at once, and of
 * larger ones a reader may see both for a moment. Where a batch replaces all that is there, the
 * files of other partitions go last.
 *
 * Order of calls: open, {aside, sync, publish or replace, forget} in any order, close.
 */
#ifndef FRESHET_WRITERS_HISTORY_HISTORY_FOLDER_H
#define FRESHET_WRITERS_HISTORY_HISTORY_FOLDER_H

#include <freshet/freshet.h>

#include "base/arena.h"

#define HISTORY_PATH_MAX 3800u /* bytes of the folder's path */

typedef struct history_folder history_folder;

/* Makes the folder where there is none, takes its lock (FRESHET_TRY_AGAIN with FRESHET_STOP where
 * another run has it), and finishes a replacement that a run before has begun. */
freshet_code history_folder_open(const char *path, history_folder **out, freshet_error *err);
/* NULL is fine. */
void history_folder_close(history_folder *folder);

const char *history_folder_path(const history_folder *folder);

/* Where a file is written; in the arena, NULL where memory is out. Any thread. */
const char *history_folder_aside(const history_folder *folder, arena *arena, const char *file);

/* Do two files, by their paths below the folder, lie in the same one? */
bool history_same_partition(const char *a, const char *b);

/* Is a file of that name seen already? Not while another thread calls. */
bool history_folder_has(const history_folder *folder, const char *file);

/* The file that was written aside at this path (of history_folder_aside) is made durable. Any
 * thread. */
freshet_code history_folder_sync(const char *path, freshet_error *err);
/* So is the list of those that lie aside. */
freshet_code history_folder_sync_aside(history_folder *folder, freshet_error *err);

/* The files come to be seen. Those that are seen already are fine, those that are nowhere are
 * FRESHET_FAILED. */
freshet_code history_folder_publish(history_folder *folder, const char *const *files, uint32_t n,
                                    freshet_error *err);

/* The files come to be seen, in the place of all others in their partitions, or, with `all`, of all
 * that are seen in the folder. After an error it is unknown whether they do; called again it goes
 * on. All files lie in folders of one depth. */
freshet_code history_folder_replace(history_folder *folder, const char *const *files, uint32_t n,
                                    bool all, freshet_error *err);

/* The number of the last checkpoint whose files were to be seen, as it was noted; 0 where none was.
 * The note is not synced: it is there after a crash of the process, and may be an older one after a
 * loss of power. */
typedef struct history_note {
    uint64_t checkpoint;
    uint64_t rows;     /* that the stream had shown with it; 0 where that was not noted */
    int64_t newest_us; /* the greatest time of its rows (history_facts.h); INT64_MIN: not noted */
} history_note;

freshet_code history_folder_note(const history_folder *folder, const history_note *note,
                                 freshet_error *err);
/* Returns the checkpoint; *note (NULL is fine) is all of it. */
uint64_t history_folder_noted(const history_folder *folder, history_note *note);

/* What is seen in the folder. */
typedef struct history_found {
    bool levels[3]; /* files lie under year=; under year=/month=; under year=/month=/day= */
    bool is_empty;
    bool is_batch; /* the file that was found first is of a batch: its number is 0 */
} history_found;

freshet_code history_folder_look(history_folder *folder, history_found *out, freshet_error *err);

/* The last file, by its name, of the last partition that has one, by its path below the folder, in
 * the arena; NULL: there is none. Partitions of the n files `but` are passed over. No folder
 * is open for it. */
freshet_code history_folder_newest(const char *path, const char *const *but, uint32_t n,
                                   arena *arena, const char **out, freshet_error *err);

/* Removes everything that lies aside. */
freshet_code history_folder_forget(history_folder *folder, freshet_error *err);

#endif
