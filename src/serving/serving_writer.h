/* serving_writer.h - the writer behind `serve`: what it is given is shown to whoever asks, as soon
 * as it is written. */
#ifndef FRESHET_SERVING_SERVING_WRITER_H
#define FRESHET_SERVING_SERVING_WRITER_H

#include "serving/serving_rows.h"
#include "writers/writer.h"

/* The writer's options. */
typedef struct serving_target {
    serving_rows *rows; /* before open */
} serving_target;

extern const writer_ops serving_writer_ops;

#endif
