/* log_events.h - all that the log says: the one table of events.
 *
 * A row is an event's name, its level, what the first argument of log_event() names, the sentence's
 * form as printf has it, and what the form's arguments are called, in their order ("-": a part of
 * the sentence only). A field's type is that of its argument: so sentence and fields cannot differ.
 * The last column has numbers that the sentence holds in another form (log_event_more); a name that
 * ends in "_at" is a time, in microseconds. docs/reference/log.md is made from these rows.
 */
#ifndef FRESHET_BASE_LOG_EVENTS_H
#define FRESHET_BASE_LOG_EVENTS_H

#include <inttypes.h>

/* clang-format off */
#define LOG_EVENTS(X)                                                                             \
    /* the log itself, and what is wrong with a declaration or a call */                          \
    X(LOG_LEVEL, INFO, NONE,                                                                      \
      "the log tells %s and worse from here on (SIGUSR1: more, SIGUSR2: less)",                   \
      "tells", "")                                                                                \
    X(LOG_LOST, WARNING, NONE,                                                                    \
      "%llu messages were lost before this one, since stderr did not take them",                  \
      "messages", "")                                                                             \
    X(ERROR, ERROR, NONE,                                                                         \
      "%s",                                                                                       \
      "-", "")                                                                                    \
    X(DECLARATION_WARNS, WARNING, NONE,                                                           \
      "%s",                                                                                       \
      "-", "")                                                                                    \
    X(OTHER, INFO, WHO,                                                                           \
      "%s",                                                                                       \
      "-", "")                                                                                    \
    /* runs */                                                                                    \
    X(PROGRESS, INFO, PIPELINE,                                                                   \
      "%s",                                                                                       \
      "-",                                                                                        \
      "rows_read, rows_per_second, newest_event_at, lag_bytes, dead_letters, rows_written, "      \
      "bootstrap_rows, bootstrap_left, batch_rows, batch_left")                                   \
    X(SUMMARY, INFO, PIPELINE,                                                                    \
      "%s",                                                                                       \
      "-",                                                                                        \
      "rows_read, rows_written, rows_again, rows_refused, rows_expired, rows_replaced, "          \
      "rows_repeated, rows_late, hook_warnings, dead_letters, took_us, table_rows")               \
    X(REPLAYED, INFO, PIPELINE,                                                                   \
      "%s",                                                                                       \
      "-", "letters, rows_written, refused_again")                                                \
    X(TRAINING_TOLD, INFO, VERB,                                                                  \
      "%s",                                                                                       \
      "-", "")                                                                                    \
    X(TRAINING_DOES, INFO, VERB,                                                                  \
      "%s",                                                                                       \
      "doing", "")                                                                                \
    X(TIMES_ODD, WARNING, NONE,                                                                   \
      "%s",                                                                                       \
      "-", "")                                                                                    \
    X(SERVED_NOWHERE, WARNING, PIPELINE,                                                          \
      "features are served to nobody: say where, as in `http: 127.0.0.1:8080`, or --http "        \
      "127.0.0.1:8080",                                                                           \
      "", "")                                                                                     \
    X(SERVE_ANSWERS, INFO, PIPELINE,                                                              \
      "answering by HTTP at %s: %u feature set%s",                                                \
      "url, feature_sets, -", "")                                                                 \
    X(SERVING_STORE_AWAY, WARNING, VERB,                                                          \
      "%s; keys that are not in memory are not served until it answers",                          \
      "problem", "")                                                                              \
    X(SERVING_STORE_BACK, INFO, VERB,                                                             \
      "the online store answers",                                                                 \
      "", "")                                                                                     \
    X(STATE_FILLS, INFO, PIPELINE,                                                                \
      "%s: %s %s",                                                                                \
      "part, -, what", "")                                                                        \
    X(STATE_CHANGED, INFO, PIPELINE,                                                              \
      "%s%s%s",                                                                                   \
      "subject, -, what", "")                                                                     \
    X(STATE_REMOVED, WARNING, PIPELINE,                                                           \
      "%s%s%s",                                                                                   \
      "subject, -, what", "")                                                                     \
    X(FILL_DONE, INFO, PIPELINE,                                                                  \
      "%s are filled with the past: %" PRIu64 " key%s, all of those in the past that lacked "     \
      "any; %s",                                                                                  \
      "part, keys, -, -", "")                                                                     \
    X(FILL_PARTLY_DONE, WARNING, PIPELINE,                                                        \
      "%s are filled with the past: %" PRIu64 " key%s; %s",                                       \
      "part, keys, -, -", "")                                                                     \
    /* cli */                                                                                     \
    X(LOG_FILE_KEPT, WARNING, PIPELINE,                                                           \
      "cannot open %s again: %s; what is said goes on into the file that was moved away",         \
      "file, problem", "")                                                                        \
    X(RELOAD_REFUSED, ERROR, PIPELINE,                                                            \
      "the changed declaration is not taken, and the run goes on with the one before: %s; "       \
      "\"freshet plan %s\" tells all of it",                                                      \
      "problem, declaration", "")                                                                 \
    X(RELOAD_LEFT_OUT, INFO, PIPELINE,                                                            \
      "SIGHUP: log files are open again; the declaration is not read again, since %s",            \
      "reason", "")                                                                               \
    X(RELOAD_UNCHANGED, INFO, PIPELINE,                                                           \
      "SIGHUP: log files are open again; the declaration has not changed",                        \
      "", "")                                                                                     \
    X(RELOAD_TAKEN, INFO, PIPELINE,                                                               \
      "SIGHUP: the state serves the changed declaration as it is: the stream goes on with it "    \
      "behind a checkpoint",                                                                      \
      "", "")                                                                                     \
    X(WATCHDOG_WARNS, WARNING, PIPELINE,                                                          \
      "no micro-batch has come to its end for %" PRId64 " ms (it %s): the supervisor's "          \
      "watchdog ends this process after %" PRId64 " ms, and the next run reads its rows again",   \
      "silent_ms, doing, left_ms", "")                                                            \
    X(SUPERVISOR_PROBLEM, WARNING, NONE,                                                          \
      "%s: %s",                                                                                   \
      "place, problem", "")                                                                       \
    X(SUPERVISOR_UNTOLD, WARNING, NONE,                                                           \
      "the system gives no thread to tell the supervisor how this run is",                        \
      "", "")                                                                                     \
    X(COMPARED_NOTHING, WARNING, FILE,                                                            \
      "nothing was compared of %s: no key that was looked at has rows of one time on both "       \
      "sides, so that nothing is proved",                                                         \
      "store", "")                                                                                \
    /* features */                                                                                \
    X(BATCH_PAST_MEMORY, WARNING, PIPELINE,                                                       \
      "the rows of the batch take more than batch.memory allows, and are kept in memory all "     \
      "the same: windows with a `partition_by` of their own need all of them at once",            \
      "", "")                                                                                     \
    X(BATCH_KEYS_LARGE, WARNING, PIPELINE,                                                        \
      "a set of keys that must be in memory together has %u rows of %zu MiB: more than "          \
      "batch.memory allows; one key may have most of them",                                       \
      "rows, size_mib", "")                                                                       \
    X(AGGREGATE_FAILED, WARNING, PIPELINE,                                                        \
      "column \"%s\": %s; such values are null from here on",                                     \
      "column, problem", "")                                                                      \
    X(AGGREGATE_TOO_LARGE, WARNING, PIPELINE,                                                     \
      "an aggregate is larger than its type can hold; such values are null",                      \
      "", "")                                                                                     \
    X(KEYS_SHARED, WARNING, NONE,                                                                 \
      "rows of one key come from different partitions of a topic (%u and %u, for one): their "    \
      "order is not certain, and so are results that depend on it; let the producer partition "   \
      "by the feature set's keys",                                                                \
      "partition, other_partition", "")                                                           \
    /* operate */                                                                                 \
    X(LETTERS_NOT_ROTATED, WARNING, PIPELINE,                                                     \
      "cannot rename %s to %s: %s",                                                               \
      "file, to, problem", "")                                                                    \
    X(LETTERS_ROTATED, INFO, PIPELINE,                                                            \
      "the dead letters are more than max_size: the file is now %s.1, and a new one begins",      \
      "file", "")                                                                                 \
    /* pipeline */                                                                                \
    X(NOT_ASKABLE, WARNING, PIPELINE,                                                             \
      "\"freshet status\" will not find this run: %s",                                            \
      "problem", "")                                                                              \
    X(HTTP_ANSWERS, INFO, PIPELINE,                                                               \
      "answering by HTTP at %s",                                                                  \
      "url", "")                                                                                  \
    X(BOOTSTRAP_OVER, INFO, READER,                                                               \
      "the bootstrap is over, and its rows were read, %lld in all; now what comes live",          \
      "rows", "")                                                                                 \
    X(BOOTSTRAP_SORTED, INFO, READER,                                                             \
      "the bootstrap has %lld row%s, read and sorted by time in %.1f s",                          \
      "rows, -, seconds", "")                                                                     \
    X(CHECKPOINT_LEFT, INFO, PIPELINE,                                                            \
      "left checkpoint %llu in %s: the same declaration with `stream: true` goes on behind it",   \
      "checkpoint, folder", "")                                                                   \
    X(JOIN_ROWS_WAIT, INFO, PIPELINE,                                                             \
      "%llu row%s of the joined readers wait%s there for partners that may still come: what is "  \
      "not written of them yet goes out with the stream, or with `--once --drain` of it",         \
      "rows, -, -", "")                                                                           \
    X(NEWEST_TAKEN_OVER, INFO, PIPELINE,                                                          \
      "took over the newest rows of %" PRIu64 " key%s from what %s kept",                         \
      "keys, -, part", "")                                                                        \
    X(LETTERS_MOVED, WARNING, PIPELINE,                                                           \
      "the file of dead letters has another's lines, or was moved, since the last checkpoint: "   \
      "letters behind it may be there twice",                                                     \
      "", "")                                                                                     \
    X(WRITER_FILES_LEFT, WARNING, PIPELINE,                                                       \
      "the last checkpoint lists %u file%s of the writer \"%s\", which is not declared as it "    \
      "was: what of them was not shown or sent yet never will be; to have it, put the writer "    \
      "back, let the stream run once and stop it",                                                \
      "files, -, writer", "")                                                                     \
    X(STATE_GOES_ON, INFO, PIPELINE,                                                              \
      "goes on from checkpoint %llu of %s, in %s",                                                \
      "checkpoint, written, folder", "")                                                          \
    X(FILL_NOT_TAKEN, WARNING, PIPELINE,                                                          \
      "%s is not taken, so windows fill from what comes: %s",                                     \
      "folder, reason", "")                                                                       \
    X(FILL_FAILED, WARNING, PIPELINE,                                                             \
      "%s cannot be filled: %s",                                                                  \
      "part, problem", "")                                                                        \
    X(FILL_SHORT, WARNING, PIPELINE,                                                              \
      "%s: %" PRIu64 " key%s from what comes, as before: the past ends too soon for %" PRIu64     \
      ", "                                                                                        \
      "and has other events than the stream has had of %" PRIu64,                                 \
      "part, keys, -, too_short, of_other_events", "")                                            \
    X(FILL_BEGINS, INFO, PIPELINE,                                                                \
      "fills windows with the past, from %s",                                                     \
      "folder", "")                                                                               \
    X(FILL_NOT_REMOVED, WARNING, PIPELINE,                                                        \
      "cannot remove %s",                                                                         \
      "folder", "")                                                                               \
    X(ROWS_LATE, WARNING, PIPELINE,                                                               \
      "%" PRIu64 " of the last %" PRIu64 " rows are late%s: their times lie more than %s "        \
      "(timestamp.lateness) before rows that came earlier, so within a file or a partition "      \
      "they are not in the order of time, or were added later; say a longer \"lateness\", or "    \
      "\"late: update\", or sort them",                                                           \
      "late, rows, -, lateness", "")                                                              \
    X(HOOK_WARNS, WARNING, PIPELINE,                                                              \
      "%s: %s",                                                                                   \
      "place, problem", "")                                                                       \
    X(TABLE_READ_AGAIN, INFO, READER,                                                             \
      "the files changed and were read again",                                                    \
      "", "")                                                                                     \
    X(TABLE_NOT_READ, WARNING, READER,                                                            \
      "the files changed and cannot be read now, so the rows read before stay in use: %s",        \
      "problem", "")                                                                              \
    X(STOPPED_WITHIN, WARNING, PIPELINE,                                                          \
      "stopped in the middle of a micro-batch: its rows are read again by the next run",          \
      "", "")                                                                                     \
    X(MERGE_TOO_MANY, WARNING, READER,                                                            \
      "more than %u files have rows of the same time, and no more are read side by side: rows "   \
      "may come late; give the files together fewer, or allow more lateness",                     \
      "most", "")                                                                                 \
    X(ROWS_REFUSED, WARNING, PIPELINE,                                                            \
      "%lld row%s refused: %s; the last one: %s",                                                 \
      "rows, -, reasons, last", "")                                                               \
    X(REPLAY_BEGINS, INFO, PIPELINE,                                                              \
      "replays %u dead letter%s of %s%s%s%s",                                                     \
      "letters, -, file, -, -, -", "")                                                            \
    X(WRITER_VALIDATED, INFO, PIPELINE,                                                           \
      "validated the writer \"%s\": all %lld rows are there",                                     \
      "writer, rows", "")                                                                         \
    X(TROUBLE_OVER, INFO, OF,                                                                     \
      "%s",                                                                                       \
      "-", "")                                                                                    \
    X(TROUBLE, WARNING, OF,                                                                       \
      "%s; trying again until it works",                                                          \
      "problem", "")                                                                              \
    /* readers/file */                                                                            \
    X(COLUMNS_INFERRED, INFO, READER,                                                             \
      "the columns were inferred from %s: %.*s; \"freshet show\" prints them as a schema",        \
      "from, columns", "")                                                                        \
    X(NO_INOTIFY, WARNING, READER,                                                                \
      "inotify is not to be had; files are looked at once a second",                              \
      "", "")                                                                                     \
    X(COLUMNS_INFERRED_SLOWLY, INFO, READER,                                                      \
      "the columns were inferred from %s in %.1f s; \"freshet show\" prints them as a schema, "   \
      "with which a run begins at once",                                                          \
      "from, seconds", "")                                                                        \
    X(FILE_GONE, WARNING, READER,                                                                 \
      "%s went away before it was read to its end",                                               \
      "file", "")                                                                                 \
    X(FILE_FAILED, WARNING, READER,                                                               \
      "%s: %s; it is tried again later, and other files go on",                                   \
      "file, problem", "")                                                                        \
    X(FILE_SKIPPED, WARNING, READER,                                                              \
      "%s: %s; it is skipped, and a dead letter names it (on_bad_file: skip)",                    \
      "file, problem", "")                                                                        \
    X(FILE_OF_OTHER_FORMAT, WARNING, READER,                                                      \
      "%s is not read, nor are other files whose ending is not that of the first one; say "       \
      "format to read all",                                                                       \
      "file", "")                                                                                 \
    X(FILES_NOT_LISTED, WARNING, READER,                                                          \
      "%s: %s; it is tried again%s",                                                              \
      "file, problem, -", "")                                                                     \
    X(PATH_MISSING, WARNING, READER,                                                              \
      "%s is not there; it is read when it comes",                                                \
      "path", "")                                                                                 \
    X(PATH_THERE, INFO, READER,                                                                   \
      "%s is there",                                                                              \
      "path", "")                                                                                 \
    X(FOLDER_LEFT_OUT, WARNING, READER,                                                           \
      "%s cannot be read: %s; it is left out, and a dead letter says so (on_bad_file: skip)",     \
      "folder, problem", "")                                                                      \
    X(THINGS_PASSED_OVER, WARNING, READER,                                                        \
      "%u things are passed over, as %s: pipes, devices or links that lead nowhere",              \
      "things, example", "")                                                                      \
    X(STDIN_LACKS_COLUMNS, WARNING, READER,                                                       \
      "standard input does not have the column%s %s%s, null in all of its rows",                  \
      "-, columns, -", "")                                                                        \
    X(FILE_KNOWN, INFO, READER,                                                                   \
      "%s holds what was read%s%s up to %s %lld; it is read on from there",                       \
      "file, -, formerly, unit, offset", "")                                                      \
    X(FILE_CHANGED, WARNING, READER,                                                              \
      "%s is not the text of which %lld %s were read before (it was cut, changed or written "     \
      "anew): it is read from its beginning, and what it has of the former is read again",        \
      "file, offset, unit", "")                                                                   \
    X(FILE_BEGINS_ALIKE, WARNING, READER,                                                         \
      "%s begins with the same text as %s, of which %lld %s were read: they are read again, as "  \
      "those of another file",                                                                    \
      "file, like, offset, unit", "")                                                             \
    X(FILES_READ_AGAIN, WARNING, READER,                                                          \
      "%u more files are read from their beginnings, too, though %lld %s had been read of "       \
      "files of their names, or of their texts",                                                  \
      "files, offset, unit", "")                                                                  \
    X(FILE_WAITS, WARNING, READER,                                                                \
      "%s %s%s",                                                                                  \
      "file, -, -", "")                                                                           \
    X(GZIP_CUT, WARNING, READER,                                                                  \
      "%s stops in the middle of its gzip stream; the rest is read when it is there",             \
      "file", "")                                                                                 \
    X(LINE_INCOMPLETE, WARNING, READER,                                                           \
      "%s: the last line, at byte %lld, is not complete; it is left for later",                   \
      "file, offset", "")                                                                         \
    X(FILE_LACKS_COLUMNS, WARNING, READER,                                                        \
      "%s does not have the column%s %s%s, null in all of its rows",                              \
      "file, -, columns, -", "")                                                                  \
    X(FILE_READABLE, INFO, READER,                                                                \
      "%s can be read",                                                                           \
      "file", "")                                                                                 \
    /* readers/kafka */                                                                           \
    X(CONSUMER_PROBLEM, DEBUG, READER,                                                            \
      "librdkafka: %s (%s)",                                                                      \
      "problem, code", "")                                                                        \
    X(CONSUMER_SAYS, DEBUG, READER,                                                               \
      "librdkafka: %s: %s",                                                                       \
      "facility, text", "")                                                                       \
    X(OFFSETS_GONE, WARNING, READER,                                                              \
      "%s should go on at offset %" PRId64 ", but %sthe brokers have %" PRId64 " to %" PRId64     \
      "; "                                                                                        \
      "it goes on at %" PRId64 ", as on_gap says",                                                \
      "partition, offset, -, earliest, latest, place", "")                                        \
    X(TOPICS_READ, INFO, READER,                                                                  \
      "reads %" PRIu32 " partition%s from %s",                                                    \
      "partitions, -, brokers", "")                                                               \
    X(PATTERN_MATCHES_NONE, WARNING, READER,                                                      \
      "the pattern \"%.200s\" matches no topic yet",                                              \
      "pattern", "")                                                                              \
    X(GROUP_NOT_WRITTEN, WARNING, READER,                                                         \
      "the offsets of the group \"%s\" cannot be written, so tools that look at it see no "       \
      "progress; nothing else depends on it, and they are tried again: %s",                       \
      "group, problem", "")                                                                       \
    X(GROUP_UNFINISHED, WARNING, READER,                                                          \
      "the offsets of the group \"%s\" were not written before the end: no coordinator took "     \
      "them in time; tools that look at the group see less progress than there is, and nothing "  \
      "else depends on it",                                                                       \
      "group", "")                                                                                \
    X(PARTITION_SILENT, WARNING, READER,                                                          \
      "%s has given nothing for %" PRId64 " s, though it was read up to offset %" PRId64 " and "  \
      "the brokers have messages up to %" PRId64 ": its fetching begins anew there",              \
      "partition, seconds, offset, end", "")                                                      \
    X(COLUMN_UNSEEN, WARNING, READER,                                                             \
      "%s: none of the first %s has it%s%s%s",                                                    \
      "column, records, -, nearest, -", "")                                                       \
    /* readers */                                                                                 \
    X(TABLE_GONE, WARNING, READER,                                                                \
      "%s is not there any more; the rows read before stay in use until it comes back",           \
      "path", "")                                                                                 \
    /* state */                                                                                   \
    X(STATE_UNSEALED, WARNING, NONE,                                                              \
      "%s; the state is written, but not sealed until that works",                                \
      "problem", "")                                                                              \
    X(STATE_SEALED, INFO, NONE,                                                                   \
      "the state in \"%s\" is sealed again",                                                      \
      "folder", "")                                                                               \
    /* writers/cassandra */                                                                       \
    X(ROWS_EXPIRED, WARNING, WRITER,                                                              \
      "%" PRId64 " rows were not written, since their events were longer ago than the ttl",       \
      "rows", "")                                                                                 \
    X(STORE_BACK, INFO, WRITER,                                                                   \
      "the trouble is over, the online store answers",                                            \
      "", "")                                                                                     \
    X(STORE_TROUBLE, WARNING, WRITER,                                                             \
      "%s; trying again for %s",                                                                  \
      "problem, patience", "")                                                                    \
    /* writers/debug */                                                                           \
    X(TABLE_FULL, WARNING, NONE,                                                                  \
      "the debug table %s is full at %" PRId64 " rows: its %g MiB of memory do not hold the %"    \
      PRId64 " rows of its limit; the oldest go (set `memory` of `online` higher, or `rows` "     \
      "lower)",                                                                                   \
      "table, rows, size_mib, limit", "")                                                         \
    /* writers/history */                                                                         \
    X(HISTORY_KEPT, WARNING, FOLDER,                                                              \
      "this batch has no rows, so the history stays as it was: `interval_mode: false` replaces "  \
      "it by rows only",                                                                          \
      "", "")                                                                                     \
    X(HISTORY_UNFINISHED, WARNING, FOLDER,                                                        \
      "the batch did not come to its end, so nothing of it is in the history",                    \
      "", "")                                                                                     \
    X(HISTORY_COLUMN_NEW, INFO, FOLDER,                                                           \
      "the column \"%.*s\" is not in the files from before (%s): readers that take the folder "   \
      "as one table, by the columns' names, have null there",                                     \
      "column, file", "")                                                                         \
    X(HISTORY_COLUMN_GONE, WARNING, FOLDER,                                                       \
      "the files from before (%s) have a column \"%.*s\", which is not written any more: "        \
      "readers that take the folder as one table, by the columns' names, have null in new rows",  \
      "file, column", "")                                                                         \
    X(HISTORY_TYPES_DIFFER, WARNING, FOLDER,                                                      \
      "the history has %s of another type (in %s): %s; this batch is refused at its end where "   \
      "days are left that it does not replace",                                                   \
      "-, file, difference", "")                                                                  \
    X(HISTORY_NOT_COMPARED, WARNING, FOLDER,                                                      \
      "the columns of this file cannot be compared with those that are written: %s",              \
      "problem", "")                                                                              \
    X(HISTORY_OLDER, WARNING, FOLDER,                                                             \
      "the history is older than the state: %s%" PRIu64 ", and the state has written files up "   \
      "to checkpoint %" PRIu64 " (the last one is %s). What lies between%s is in no file, and "   \
      "does not come again: put back the history that belongs to the state; or move both away, "  \
      "and the stream begins anew. If files were moved on purpose, all is well",                  \
      "-, history_checkpoint, checkpoint, newest, -", "")                                         \
    X(HISTORY_FILE_GONE, WARNING, FOLDER,                                                         \
      "the last file that was written to the history, %s of checkpoint %" PRIu64 ", is not "      \
      "there: if it was moved or merged on purpose, all is well; if the history was put back "    \
      "from a backup, put back one that has it, since its rows do not come again",                \
      "file, checkpoint", "")                                                                     \
    /* writers/jsonl */                                                                           \
    X(JSONL_OTHER_ROWS, WARNING, FILE,                                                            \
      "there are rows of another run, and this stream begins with a new state: what it reads "    \
      "again is appended behind them, a second time; to have each row once, move the file away",  \
      "", "")                                                                                     \
    /* writers/kafka */                                                                           \
    X(TOPIC_OTHER_ROWS, WARNING, TOPIC,                                                           \
      "there are rows of another state of \"%s\", and this stream began with a new one: what "    \
      "it reads again is sent a second time; to have each row once, write to another topic, or "  \
      "delete that one",                                                                          \
      "transactional_id", "")                                                                     \
    X(TOPIC_UNFINISHED, WARNING, TOPIC,                                                           \
      "the batch did not come to its end, so nothing of it is in the topic",                      \
      "", "")                                                                                     \
    X(PRODUCER_PROBLEM, DEBUG, WRITER,                                                            \
      "librdkafka: %s (%s)",                                                                      \
      "problem, code", "")                                                                        \
    X(PRODUCER_SAYS, DEBUG, WRITER,                                                               \
      "librdkafka: %s: %s",                                                                       \
      "facility, text", "")                                                                       \
    /* writers */                                                                                 \
    X(LINE_CUT, WARNING, FILE,                                                                    \
      "the file ended in the middle of a line, as a run that was killed leaves it: its last %"    \
      PRId64 " bytes were cut off",                                                               \
      "bytes", "")
/* clang-format on */

#endif
