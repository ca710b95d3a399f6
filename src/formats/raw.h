/* raw.h - records as they are: one column, string or binary, that points into the record. */
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
