/* history_fits.c - does this run fit what is in the history's folder? At its opening, and where
 * checkpoints drive, at its start; see history_internal.h. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "writers/history/history_internal.h"

/* Readers take a folder of one depth only. */
freshet_code history_check_levels(const history_writer *writer, freshet_error *err)
{
    static const char *const words[] = {"[year]", "[year, month]", "[year, month, day]"};
    const history_options *options = writer->base.options;
    const char *path = history_folder_path(writer->folder);
    char where[256];
    for (uint32_t i = 0; i < HISTORY_LEVELS; i++)
        if (writer->found.levels[i] && i + 1 != writer->levels)
            return error_set(
                err, FRESHET_BAD_DECLARATION, FRESHET_STOP,
                options->partition_by.n == 0
                    ? writer->base.declaration->file
                    : place_text(&options->partition_by.items[0].at, where, sizeof where),
                "the history in %s is divided by %s, and `partition_by` is %s now: with folders of "
                "two depths no reader would take it as one table. Say `partition_by: %s`; or give "
                "the new one another path; or move %s away and begin anew",
                path, words[i], words[writer->levels - 1], words[i], path);
    return FRESHET_OK;
}

/* A stream goes on where it was: what a batch puts in the place of its days it would add to. */
freshet_code history_check_batch(const history_writer *writer, freshet_error *err)
{
    const char *path = history_folder_path(writer->folder);
    if (history_folder_noted(writer->folder, NULL) == 0 &&
        (writer->found.is_empty || writer->found.is_batch))
        return FRESHET_OK;
    return error_set(
        err, FRESHET_BAD_DECLARATION, FRESHET_STOP, path,
        "the history in %s is a stream's, and rows that the stream still has to read "
        "would be there twice once it goes on. Where this batch is to go on behind "
        "the rows that are there, %ssay --checkpoint. Else give it another path, and move "
        "its days in the place of the stream's when they are over; or move %s and the "
        "stream's state away, if it is not to go on",
        path, writer->base.is_of_days ? "leave the dates away and " : "", path);
}

/* Files of later checkpoints than the state has: their rows would come again. */
freshet_code history_check_noted(history_writer *writer, freshet_error *err)
{
    uint64_t noted = history_folder_noted(writer->folder, NULL);
    uint64_t next = writer->base.checkpoint;
    if (noted == 0 || noted < next)
        return FRESHET_OK;
    const char *path = history_folder_path(writer->folder);
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, path,
                     "the history in %s has rows up to checkpoint %" PRIu64
                     ", and the state knows of checkpoint %" PRIu64
                     " only, so these rows would be there twice: put back the state that belongs "
                     "to it; or, to begin anew, move the whole folder %s away, too",
                     path, noted, next - 1, path);
}

/* A state that has shown nothing yet: the readers begin where they begin, and what is there would
 * be there twice. */
freshet_code history_check_first(history_writer *writer, freshet_error *err)
{
    const char *path = history_folder_path(writer->folder);
    if (writer->found.is_empty)
        return FRESHET_OK;
    return error_set(
        err, FRESHET_BAD_DECLARATION, FRESHET_STOP, path,
        "the history in %s was written by %s, and this stream has not written to it: "
        "it would read the same rows, and write them a second time. %s the "
        "stream a history of its own (readers take both folders as one table); or move the "
        "folder %s away, and the stream writes all that its readers still have",
        path,
        writer->found.is_batch ? "a batch that left no checkpoint" : "a stream whose state is gone",
        writer->found.is_batch
            ? "Move the folder away, run the batch once more with --checkpoint (or "
              "with a `state` block in the declaration), and the stream goes on "
              "behind its rows. Or give"
            : "Give",
        path);
}

/* Is the last file there that the state has shown? Files that were moved are older ones; where the
 * newest is gone, too, the history may be a backup from before it. */
void history_check_newest(history_writer *writer, const writer_files *shown)
{
    const char *path = history_folder_path(writer->folder);
    history_note note;
    const uint64_t noted = history_folder_noted(writer->folder, &note), rows = note.rows;
    char missing[96] = "";
    if (history_folder_has(writer->folder, shown->newest))
        return;
    if (rows > 0 && rows < shown->shown_rows)
        snprintf(missing, sizeof missing, ", with %" PRIu64 " rows", shown->shown_rows - rows);
    if (noted < shown->shown_checkpoint)
        log_event(HISTORY_OLDER, path,
                  noted == 0 ? "it notes no checkpoint, " : "it ends with checkpoint ", noted,
                  shown->shown_checkpoint, shown->newest, missing);
    else
        log_event(HISTORY_FILE_GONE, path, shown->newest, shown->shown_checkpoint);
}
