/* measure.h - what the loop measures of itself for those who look (http/figures.h).
 *
 * Nothing is measured of a row: a micro-batch costs some readings of the clock, and a snapshot, of
 * all that is said of readers, lanes, parts and writers, comes every MEASURE_US at most, and takes
 * one part in MEASURE_SHARE of the time at most. A run that answers nobody measures nothing, and
 * all calls here do nothing.
 *
 * LATENCY. Each writer has a list of micro-batches that it was given rows of: how many rows it had
 * then been given in all, and when they were read. What becomes of rows the writer counts
 * (writer_count); as soon as it has done with so many, those of the micro-batch are seen, and their
 * time is over. Where the list is full, two micro-batches become one, of the older time.
 */
#ifndef FRESHET_PIPELINE_MEASURE_H
#define FRESHET_PIPELINE_MEASURE_H

#include <freshet/freshet.h>

#define MEASURE_US INT64_C(100000)
#define MEASURE_SHARE 50
#define MEASURE_BATCHES_MAX 512u /* of a writer, under way */
#define MEASURE_LANES_MAX 1000u  /* more are not told one by one */

struct figures_board;
typedef struct measure measure;

freshet_code measure_open(freshet_pipeline *pipeline, freshet_error *err);
void measure_close(measure *measure);
struct figures_board *measure_board(measure *measure); /* NULL for NULL */

/* A step begins; it has waited for input so long; what it reads now is seen now; it ends. */
void measure_begin(freshet_pipeline *pipeline);
void measure_waited(freshet_pipeline *pipeline, int64_t us);
void measure_seen(freshet_pipeline *pipeline);
void measure_end(freshet_pipeline *pipeline);

/* The writer was given so many rows of this step. */
void measure_given(freshet_pipeline *pipeline, uint32_t writer, uint32_t n_rows);
/* Behind whatever may have made rows seen. */
void measure_shown(freshet_pipeline *pipeline);

void measure_checkpoint(freshet_pipeline *pipeline, int64_t took_us, uint64_t bytes);

/* At the end of a turn: a snapshot, where it is time. */
void measure_turn(freshet_pipeline *pipeline);

#endif
