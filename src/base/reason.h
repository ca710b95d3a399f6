/* reason.h - why rows are refused: a small closed set of codes.
 *
 * A dead letter has one of these beside its sentence, so that refusals can be counted, told apart
 * and looked for by programs. The codes are the user's: they never change their meaning. What each
 * means stands once, in the table below; the reference page, the JSON Schema and `freshet status`
 * are made from it.
 */
#ifndef FRESHET_BASE_REASON_H
#define FRESHET_BASE_REASON_H

/* X(NAME, "code", what it means, in Markdown) */
#define REASONS(X)                                                                               \
    X(BAD_RECORD, "bad_record",                                                                  \
      "The bytes are no record of the format: broken JSON, a CSV record with too few fields, "   \
      "text "                                                                                    \
      "that is not UTF-8.")                                                                      \
    X(MISSING_COLUMN, "missing_column",                                                          \
      "`strict: true`, and the record lacks a field of the schema.")                             \
    X(UNKNOWN_COLUMN, "unknown_column",                                                          \
      "`strict: true`, and the record has a field that is not in the schema.")                   \
    X(BAD_CAST, "bad_cast",                                                                      \
      "A value is not of the type that the schema or the feature declares, or does not fit it.") \
    X(BAD_KEY, "bad_key", "A key is null, or not of its type.")                                  \
    X(BAD_TIME, "bad_time", "The timestamp is null, cannot be read, or is out of range.")        \
    X(LATE, "late", "The row is older than `lateness` allows.")                                  \
    X(EARLY, "early", "The row is further ahead of the clock than `max_future` allows.")         \
    X(TOO_LARGE, "too_large", "A record, a key or a value is larger than what can be taken.")    \
    X(SQL_ERROR, "sql_error", "The query, or the SQL of a feature, fails for the row.")          \
    X(HOOK, "hook", "The row does not meet a hook with `on_violation: dead_letter`.")            \
    X(STORE_REFUSED, "store_refused", "The store of a writer refuses the row for good.")         \
    X(BAD_FILE, "bad_file", "A file, or what is left of it, cannot be read (`on_bad_file: skip`).")

#define REASON_ENUM(NAME, code, doc) REASON_##NAME,
typedef enum reason_code { REASONS(REASON_ENUM) REASON_COUNT } reason_code;
#undef REASON_ENUM

/* "bad_cast"; and what it means, in Markdown. */
const char *reason_name(reason_code code);
const char *reason_doc(reason_code code);

#endif
