/* log_files.h - stdout and stderr that go into files, opened again when somebody has moved these
 * away (logrotate).
 *
 * Which files they are is known by what the descriptors were at the start: nobody has to say it.
 * Pipes, terminals and the journal's socket are left alone.
 */
#ifndef FRESHET_CLI_LOG_FILES_H
#define FRESHET_CLI_LOG_FILES_H

/* At the start. */
void log_files_note(void);

/* A file whose path names another file now, or none, is opened again under that path, and made if
 * need be, with the mode of the old one; `who` is for messages. */
void log_files_reopen(const char *who);

#endif
