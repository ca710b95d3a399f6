/* raw.h - records as they are: one column, string or binary, that points into the record.
 *
 * The reader names the column. A string that is not UTF-8 is a bad record. Only the options are
 * here; format_raw (format.h) is what works with them.
 */
#ifndef FRESHET_FORMATS_RAW_H
#define FRESHET_FORMATS_RAW_H

#include "declaration/declaration.h"

typedef struct raw_options {
    declared_type type; /* string (default) or binary */
} raw_options;

#define RAW_OPTIONS(at)                                                                            \
    {                                                                                              \
        .name = "type", .kind = OPTION_TYPE, .offset = (at) + offsetof(raw_options, type),         \
        .doc = "Raw: `string`, by default, which must be UTF-8; or `binary`.", .example = "binary" \
    }

#endif
