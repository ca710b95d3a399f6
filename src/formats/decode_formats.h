/* decode_formats.h - the formats that decoder.c chooses from; each is one file, decode_NAME.c. */
#ifndef FRESHET_FORMATS_DECODE_FORMATS_H
#define FRESHET_FORMATS_DECODE_FORMATS_H

#include "formats/decoder.h"

extern const decoder_ops decode_json_ops;
extern const decoder_ops decode_raw_ops;
extern const decoder_ops decode_csv_ops;

/* For formats whose columns are the declared schema. */
freshet_code decoder_describe_schema(const decoder_options *options, const char *name, arena *arena,
                                     schema *out, freshet_error *err);

/* Reports that the format needs a schema where there is none. */
void decoder_check_schema(const decoder_options *options, const char *format, const place *at,
                          struct problems *problems);

/* Reports what is of CSV only. */
void decoder_check_not_csv(const decoder_options *options, struct problems *problems);

#endif
